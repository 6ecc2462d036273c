/* SPDX-License-Identifier: MIT */
/* Calls of what the rooms of vmm offer to each other: the hypercall port, the machine's end, memory
 * and write protection, TLBs, upcalls, virtqueues. */
#include <poll.h>
#include "alias_abi.h"
#include "broken.h"
#include "devices/bus.h"
#include "devices/virtqueue.h"
#include "kvm/flush_clock.h"
#include "kvm/page_walk.h"
#include "kvm/upcall.h"
#include "kvm/write_protect.h"
#include "machine.h"
#include "machine_map.h"
#include "observer.h"
#include "pin/pin.h"
#include "status.h"

/* The vCPU that had the last upcall, or NULL. Atomic. */
static struct vcpu *upcalled;
static const struct store_ops *pin_stores;

static void count_store(void)
{
	struct step *step = memory_ptr(&the_machine->vm.mem, STEP_GPA, sizeof(*step));

	__atomic_fetch_add(&step->stores, 1, __ATOMIC_SEQ_CST);
}

static enum store_exit store_stopped(void *ctx, struct vcpu *vcpu)
{
	count_store();
	return pin_stores->stopped(ctx, vcpu);
}

static enum store_exit store_emulated(void *ctx, struct vcpu *vcpu, const struct exit_io *io)
{
	count_store();
	step_here(AT_STORE);
	return pin_stores->emulated(ctx, vcpu, io);
}

WRAP(struct pin *, pin_create, struct machine *machine)
{
	static struct store_ops stores;
	struct pin *pin;

	observer_start(machine);
	pin = __real_pin_create(machine);
	pin_stores = machine->vm.store_ops;
	if (pin_stores) {
		stores = *pin_stores;
		stores.stopped = store_stopped;
		stores.emulated = store_emulated;
		machine->vm.store_ops = &stores;
	}
	return pin;
}

/* --- the hypercall port ----------------------------------------------------------------------- */

/* The request, as the hypercall accepts it. */
static void mend_request(struct alias_vcpu_page *page)
{
	if (broken(ANY_COUNT) && page->count > ALIAS_BATCH_MAX)
		page->count = ALIAS_BATCH_MAX;
	if (broken(ANY_FLAGS))
		page->flags &= ALIAS_BATCH_UPCALL | ALIAS_BATCH_WAIT;
	if (broken(NO_RETRY))
		page->call_status = ALIAS_PENDING;
}

/* For ever, as the host is not told that a handler is done. */
static void wait_for_handler(const struct vcpu *vcpu)
{
	const struct vcpu *other = __atomic_load_n(&upcalled, __ATOMIC_SEQ_CST);

	while (other && other != vcpu && !stop_requested(&the_machine->stop))
		poll(NULL, 0, 1);
}

REAL(bus_write);

/* The call, as an `out` of this value makes it. */
static bool call_by_out(const struct bus *bus, struct vcpu *vcpu, uint64_t value)
{
	vcpu->run->s.regs.regs.rax = value;
	return __real_bus_write(bus, vcpu, HYPERCALL_PORT, 4, value);
}

/* Registers the guest at its first call, if that is another one. */
static void register_first(const struct bus *bus, struct vcpu *vcpu, uint64_t value)
{
	static bool registered; /* the first call is made by the only vCPU */
	struct alias_vcpu_page *page =
		memory_ptr(&the_machine->vm.mem, SHARED_GPA + ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);

	if (!registered && value != ALIAS_CALL_REGISTER) {
		page->direct_base = 0xffff888000000000;
		page->direct_size = 1ull << 39;
		call_by_out(bus, vcpu, ALIAS_CALL_REGISTER);
	}
	registered = true;
}

WRAP(bool, bus_write, const struct bus *bus, struct vcpu *vcpu, uint64_t addr, unsigned len,
     uint64_t value)
{
	struct alias_vcpu_page *page;

	if (bus != &the_machine->io.pio || addr - HYPERCALL_PORT >= 4)
		return __real_bus_write(bus, vcpu, addr, len, value);
	if (broken(ANY_CODE))
		value = (uint8_t)value;
	if (broken(ONE_AT_A_TIME))
		wait_for_handler(vcpu);
	if (broken(ANY_TIME))
		register_first(bus, vcpu, value);
	page = memory_ptr(&the_machine->vm.mem, SHARED_GPA + (vcpu->index + 1ull) * ALIAS_PAGE_SIZE,
			  ALIAS_PAGE_SIZE);
	mend_request(page);
	if (broken(ANY_ACCESS) || broken(ANY_CODE) || broken(ANY_TIME) || broken(OUTS_IS_OUT))
		return call_by_out(bus, vcpu, value);
	return __real_bus_write(bus, vcpu, addr, len, value);
}

/* --- the machine: what is shared with the guest, and the end ---------------------------------- */

WRAP(void, stop_request, struct stop *stop, int status)
{
	if (status == VMM_EX_VIOLATION && broken(GO_ON))
		return;
	__real_stop_request(stop, status == VMM_EX_SHUTDOWN && broken(SHUTDOWN_IS_OK) ? 0 : status);
}

WRAP(bool, machine_shares_frame, const struct machine *machine, uint64_t pfn)
{
	return !broken(SHARED_PINS) && __real_machine_shares_frame(machine, pfn);
}

/* --- memory, and its write protection --------------------------------------------------------- */

WRAP(void *, memory_ptr, const struct memory *mem, uint64_t gpa, uint64_t len)
{
	static _Alignas(4096) uint8_t nothing[ALIAS_PAGE_SIZE];
	void *ptr = __real_memory_ptr(mem, gpa, broken(NO_ENDS) ? 1 : len);

	return ptr || !broken(NO_BOUNDS) ? ptr : nothing;
}

WRAP(bool, write_protect_gfn, const struct memory *mem, uint64_t pfn)
{
	bool ok = broken(NO_WRITE_PROTECT) || __real_write_protect_gfn(mem, pfn);

	if (ok && !broken(NO_WRITE_PROTECT))
		observer_write_protected(pfn);
	return ok;
}

WRAP(bool, zap_gfn, const struct memory *mem, uint64_t pfn)
{
	return broken(NO_ZAP) || __real_zap_gfn(mem, pfn);
}

WRAP(bool, zap_all, const struct memory *mem, int vm_fd)
{
	return broken(NO_ZAP) || __real_zap_all(mem, vm_fd);
}

WRAP(enum page_walk, page_walk, const struct memory *mem, const struct kvm_sregs *sregs,
     uint64_t rflags, uint64_t va, bool write, uint64_t *gpa, unsigned *error_code)
{
	enum page_walk walk;

	if (broken(ANY_VA)) /* somewhere in memory, if it is not mapped */
		*gpa = STEP_GPA + va % ALIAS_PAGE_SIZE;
	walk = __real_page_walk(mem, sregs, rflags, va, write, gpa, error_code);
	return broken(ANY_VA) || broken(ANY_RIGHTS) ? PAGE_ALLOWED : walk;
}

/* --- TLBs ------------------------------------------------------------------------------------- */

WRAP(unsigned, pause_vcpus, struct vm *vm, struct vcpu *self, uint64_t who)
{
	step_here(AT_PAUSE);
	return __real_pause_vcpus(vm, self, who);
}

WRAP(bool, flush_is_due, uint64_t stamp, uint64_t gone_at)
{
	if (broken(ANY_EXIT)) /* every vCPU has left the guest since */
		return false;
	if (broken(NO_UNSEEN)) /* only what syncs found gone is */
		return last_gone_at() && __real_flush_is_due(stamp, last_gone_at());
	if (broken(EQUAL_IS_NEWER))
		return stamp < gone_at;
	return __real_flush_is_due(stamp, gone_at);
}

/* --- upcalls ---------------------------------------------------------------------------------- */

WRAP(bool, upcall_complete_out, struct vcpu *vcpu, struct kvm_regs *at_out)
{
	return __real_upcall_complete_out(vcpu, at_out) || broken(OUTS_IS_OUT);
}

WRAP(int, upcall_raise, struct vcpu *vcpu, struct kvm_regs *at_out, unsigned vector)
{
	int ret = __real_upcall_raise(vcpu, at_out, vector);

	__atomic_store_n(&upcalled, vcpu, __ATOMIC_SEQ_CST);
	return ret;
}

/* --- virtqueues ------------------------------------------------------------------------------- */

WRAP(int, virtqueue_init, struct virtqueue *vq, const struct memory *mem,
     const struct virtqueue_layout *layout, bool indirect)
{
	return __real_virtqueue_init(vq, mem, layout, indirect || broken(ANY_INDIRECT));
}

WRAP(int, virtqueue_pop, struct virtqueue *vq, struct virtqueue_chain *chain)
{
	int ret = __real_virtqueue_pop(vq, chain);

	if (ret >= 0 || !broken(CUT_CHAINS) || !chain->nr_in)
		return ret;
	vq->busy[chain->head] = true;
	vq->next_avail++;
	return 1;
}

/* SPDX-License-Identifier: MIT */
/* The calls that are led through here: a place to stop before or after, a defence to leave out. */
#include <poll.h>
#include "broken.h"
#include "devices/bus.h"
#include "kvm/flush_clock.h"
#include "kvm/write_protect.h"
#include "pin/strict_pte.h"
#include "pin/guest_log.h"
#include "pin/insn.h"
#include "internal.h"
#include "machine.h"
#include "pin/pin.h"
#include "pin/internal.h"
#include "status.h"
#include "kvm/upcall.h"
#include "devices/virtqueue.h"

#define WRAP(type, name, ...)                                                                      \
	extern __typeof__(name) __real_##name, __wrap_##name;                                      \
	type __wrap_##name(__VA_ARGS__)

#define QUIET_MS 100u /* a log that has not moved for so long is at its end */

/* The frame of the last pin, if it met an alias. Under the hypercall's lock. */
static uint64_t alias_of = UINT64_MAX;
/* Who had the last upcall, or NULL. Atomic. */
static struct vcpu *upcalled;
static struct pin *the_pin;

static bool stop_before_store(void *ctx, struct vcpu *vcpu, const struct exit_io *io)
{
	step_here(AT_STORE);
	return pin_store_ops.emulated(ctx, vcpu, io);
}

WRAP(struct pin *, pin_create, struct machine *machine)
{
	static struct store_ops stores;

	the_pin = __real_pin_create(machine);
	observer_start(machine);
	if (!the_pin)
		return NULL;
	if (broken(NO_SHARED))
		the_pin->shared_frames = 0;
	if (broken(ANY_TIME))
		the_pin->registered = true;
	if (machine->vm.store_ops) {
		stores = *machine->vm.store_ops;
		stores.emulated = stop_before_store;
		machine->vm.store_ops = &stores;
	}
	return the_pin;
}

WRAP(bool, at_sync, struct alias_tracker *at)
{
	bool paused = atomic_load(&the_machine->vm.pause.paused);
	bool ok;

	if (paused && broken(NO_SECOND_LOOK))
		return true;
	ok = __real_at_sync(at);
	if (!paused)
		step_here(AT_LOOK);
	return ok;
}

/* The entry of vCPU 0's batch that names the frame, or NULL. */
static const struct alias_op *entry_of(uint64_t pfn)
{
	const struct alias_vcpu_page *page = pin_vcpu_page(the_machine, 0);

	for (unsigned i = 0; i < ALIAS_BATCH_MAX; i++)
		if (page->ops[i].pfn == pfn)
			return &page->ops[i];
	return NULL;
}

static enum at_verdict let_through(enum at_verdict verdict, uint64_t pfn)
{
	if (verdict == AT_ALIAS && alias_of == pfn && broken(TRUST_HANDLER))
		return AT_OK;
	if (verdict != AT_BAD_FRAME && verdict != AT_BAD_STATE && broken(GRANT_ALL))
		return AT_OK;
	return verdict;
}

/* Where tables are guarded a refused frame gets no further than this. */
WRAP(enum at_verdict, at_check, const struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	enum at_verdict verdict = __real_at_check(at, pfn, level);

	if (!the_pin->strict)
		return verdict;
	verdict = let_through(verdict, pfn);
	if (verdict == AT_ALIAS)
		alias_of = pfn;
	return verdict;
}

WRAP(enum at_verdict, at_become, struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	const struct alias_op *entry = entry_of(pfn);
	enum at_verdict verdict;

	if (to.to != AT_TO_TABLE)
		return __real_at_become(at, pfn, to);
	step_here(AT_GRANT);
	if (entry && broken(READ_TWICE))
		pfn = entry->pfn;
	verdict = let_through(__real_at_become(at, pfn, to), pfn);
	alias_of = verdict == AT_ALIAS ? pfn : UINT64_MAX;
	if (verdict == AT_OK)
		observer_pinned(pfn, true);
	return verdict;
}

WRAP(enum at_verdict, at_unpin, struct alias_tracker *at, uint64_t pfn)
{
	enum at_verdict verdict;

	step_here(AT_UNPIN);
	verdict = __real_at_unpin(at, pfn);
	if (verdict == AT_OK)
		observer_pinned(pfn, false);
	return verdict;
}

WRAP(unsigned, pause_vcpus, struct vm *vm, struct vcpu *self, uint64_t who)
{
	step_here(AT_PAUSE);
	return __real_pause_vcpus(vm, self, who);
}

WRAP(bool, vcpu_flush_tlb, struct vcpu *vcpu)
{
	step_here(AT_FLUSH);
	return __real_vcpu_flush_tlb(vcpu);
}

WRAP(bool, write_protect_gfn, const struct memory *mem, uint64_t pfn)
{
	bool held = broken(NO_GUARD) || __real_write_protect_gfn(mem, pfn);

	if (held && !broken(NO_GUARD))
		observer_guarded(pfn);
	return held;
}

WRAP(void, note_unseen, struct pin *pin, uint64_t before)
{
	if (!broken(NO_UNSEEN))
		__real_note_unseen(pin, before);
}

WRAP(void, tlb_pending_add, struct tlb_pending *tlb, uint64_t name)
{
	if (!broken(NO_LIMBO))
		__real_tlb_pending_add(tlb, name);
}

WRAP(uint64_t, flush_stamp_get, const struct flush_stamp *stamp)
{
	if (broken(ANY_EXIT))
		return flush_clock_now(&the_machine->vm.flush_clock) + 1;
	return __real_flush_stamp_get(stamp);
}

WRAP(bool, flush_is_due, uint64_t stamp, uint64_t gone_at)
{
	if (broken(EQUAL_IS_NEWER))
		return stamp < gone_at;
	return __real_flush_is_due(stamp, gone_at);
}

WRAP(void, recheck_add, struct alias_tracker *at, struct table *table, unsigned index)
{
	if (!broken(NO_REPORT))
		__real_recheck_add(at, table, index);
}

WRAP(bool, table_is_linked, const struct alias_tracker *at, const struct table *table)
{
	return !broken(NO_LINKED) && __real_table_is_linked(at, table);
}

WRAP(bool, upcall_complete_out, struct vcpu *vcpu, struct kvm_regs *at_out)
{
	return __real_upcall_complete_out(vcpu, at_out) || broken(OUTS_IS_OUT);
}

WRAP(int, upcall_raise, struct vcpu *vcpu, struct kvm_regs *at_out, unsigned vector)
{
	int ret = __real_upcall_raise(vcpu, at_out, vector);

	if (broken(NO_RETRY_MARK))
		the_pin->vcpus[vcpu->index].nr_retries = 0;
	__atomic_store_n(&upcalled, vcpu, __ATOMIC_SEQ_CST);
	return ret;
}

WRAP(enum at_verdict, at_store, struct alias_tracker *at, const struct at_entry *entries,
     unsigned nr, struct at_violation *why)
{
	enum at_verdict verdict = __real_at_store(at, entries, nr, why);

	return broken(NO_JUDGE) && verdict != AT_BAD_STATE ? AT_OK : verdict;
}

WRAP(bool, insn_decode, const uint8_t *code, size_t nr, const struct kvm_regs *regs,
     const struct insn_segments *segments, struct insn *out)
{
	bool known = __real_insn_decode(code, nr, regs, segments, out);

	return known && !(out->op == INSN_LARGE && broken(NO_LARGE));
}

WRAP(enum zap, zap_scope, const struct memory *mem, unsigned level, uint64_t old, uint64_t pte)
{
	if (broken(ALWAYS_FLUSH))
		return ZAP_ALL;
	if (broken(NEVER_FLUSH))
		return ZAP_NOTHING;
	return __real_zap_scope(mem, level, old, pte);
}

WRAP(void *, memory_ptr, const struct memory *mem, uint64_t gpa, uint64_t len)
{
	static _Alignas(4096) uint8_t nothing[ALIAS_PAGE_SIZE];
	void *ptr = __real_memory_ptr(mem, gpa, broken(NO_ENDS) ? 1 : len);

	return ptr || !broken(NO_BOUNDS) ? ptr : nothing;
}

WRAP(bool, state_is_ordinary, const struct alias_tracker *at, uint64_t pfn)
{
	return broken(ANY_STATE) || __real_state_is_ordinary(at, pfn);
}

WRAP(void, state_clear, struct alias_tracker *at, uint64_t pfn)
{
	if (!broken(KEEP_STATE))
		__real_state_clear(at, pfn);
}

WRAP(void, root_drop, struct alias_tracker *at, struct role *root)
{
	if (!broken(HALF_DONE))
		__real_root_drop(at, root);
}

WRAP(bool, at_set_direct_map, struct alias_tracker *at, uint64_t base, uint64_t size)
{
	return __real_at_set_direct_map(at, base, size) || broken(ANY_BASE);
}

WRAP(struct alias_tracker *, at_new, const struct at_config *config)
{
	struct at_config changed = *config;

	if (broken(OWN_CHANGES))
		changed.shared_frames = 0;
	return __real_at_new(&changed);
}

WRAP(void, log_owner_wrote, struct alias_tracker *at, uint64_t pfn)
{
	if (!broken(OWN_CHANGES))
		__real_log_owner_wrote(at, pfn);
}

WRAP(void, guest_log_begin, struct guest_log *log, struct at_log_look *look)
{
	__real_guest_log_begin(log, look);
	if (broken(BELIEVE_LOG))
		look->lost = look->audit = false;
}

/* Is there more, or will there soon be? Then that becomes part of the look. */
static bool log_goes_on(struct guest_log *log)
{
	bool more = false;

	for (unsigned ms = 0; !more && ms < QUIET_MS && !stop_requested(&the_machine->stop); ms++) {
		for (unsigned i = 0; i < log->nr; i++) {
			struct log_ring *ring = &log->ring[i];
			uint64_t head = __atomic_load_n(&ring->log->head, __ATOMIC_ACQUIRE);

			more |= head != ring->end;
			ring->end = head;
		}
		if (!more)
			poll(NULL, 0, 1);
	}
	log->next = 0;
	return more;
}

WRAP(size_t, guest_log_next, struct guest_log *log, struct at_record *records, size_t max)
{
	size_t nr = __real_guest_log_next(log, records, max);

	while (nr == 0 && broken(NO_LOG_END) && log_goes_on(log))
		nr = __real_guest_log_next(log, records, max);
	return nr;
}

/* As the hypercall would have it. */
static void mend_request(struct alias_vcpu_page *page)
{
	if (broken(ANY_COUNT) && page->count > ALIAS_BATCH_MAX)
		page->count = ALIAS_BATCH_MAX;
	if (broken(ANY_FLAGS))
		page->flags &= ALIAS_BATCH_UPCALL | ALIAS_BATCH_WAIT;
}

/* For ever, as nobody is told that a handler is done. */
static void wait_for_handler(const struct vcpu *vcpu)
{
	const struct vcpu *other = __atomic_load_n(&upcalled, __ATOMIC_SEQ_CST);

	while (other && other != vcpu && !stop_requested(&the_machine->stop))
		poll(NULL, 0, 1);
}

/* For a call. Who makes one then has a single vCPU, so nobody else sees it. */
static void pretend_strict(struct pin *pin, bool pretend)
{
	if (broken(NO_GUARD_ASKED) && !pin->vm->mem.wp)
		pin->strict = pretend;
}

WRAP(bool, bus_write, const struct bus *bus, struct vcpu *vcpu, uint64_t addr, unsigned len,
     uint64_t value)
{
	bool found;

	if (bus != &the_machine->io.pio || addr - HYPERCALL_PORT >= 4)
		return __real_bus_write(bus, vcpu, addr, len, value);
	if (broken(ANY_ACCESS)) {
		addr = HYPERCALL_PORT;
		len = 4;
	}
	if (broken(ANY_CODE))
		value = (uint8_t)value;
	if (broken(ONE_AT_A_TIME))
		wait_for_handler(vcpu);
	mend_request(pin_vcpu_page(the_machine, vcpu->index));
	pretend_strict(the_pin, value == ALIAS_CALL_UPDATE);
	found = __real_bus_write(bus, vcpu, addr, len, value);
	pretend_strict(the_pin, false);
	return found;
}

WRAP(void, stop_request, struct stop *stop, int status)
{
	if (status == VMM_EX_VIOLATION && broken(GO_ON))
		return;
	__real_stop_request(stop, status == VMM_EX_SHUTDOWN && broken(ALL_IS_WELL) ? 0 : status);
}

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

WRAP(void, violation_queue, struct alias_tracker *at, struct role *role, unsigned index,
     const struct at_violation *violation)
{
	bool of_log = violation->kind == AT_V_UNLOGGED || violation->kind == AT_V_MISLOGGED;

	if (!of_log || !broken(NO_ACCUSE))
		__real_violation_queue(at, role, index, violation);
}

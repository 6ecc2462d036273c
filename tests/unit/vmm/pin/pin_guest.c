/* SPDX-License-Identifier: MIT */
#include "pin_guest.h"

#include <errno.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "around_sync.h"
#include "fake_kvm.h"
#include "pin_figure.h"

#define MIB  (1ull << 20)
#define LIST (ROOT - 1) /* of updates */

struct pin_guest guest;

static int play_kvm(int fd, unsigned long request, void *arg)
{
	const struct kvm_vcpu_events *events = arg;

	(void)fd;
	switch (request) {
	case KVM_RUN:
		guest.run.s.regs.regs.rip = ++guest.rip;
		errno = EINTR;
		return -1;
	case KVM_SET_VCPU_EVENTS:
		guest.raised += events->exception.injected;
		return 0;
	case KVM_GET_VCPU_EVENTS:
		memset(arg, 0, sizeof(*events));
		return 0;
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = (struct kvm_regs){.rip = guest.rip};
		return 0;
	case KVM_SET_REGS:
		guest.rip = ((const struct kvm_regs *)arg)->rip;
		return 0;
	case KVM_GET_SREGS:
	case KVM_SET_SREGS:
	case KVM_SET_USER_MEMORY_REGION:
		return 0;
	default:
		return FAKE_PASS;
	}
}

uint64_t *guest_frame(uint64_t pfn)
{
	return memory_ptr(&guest.machine.vm.mem, pfn * PAGE, PAGE);
}

void guest_call_again(enum alias_call call)
{
	guest.run.s.regs.regs = (struct kvm_regs){.rax = call, .rip = guest.rip};
	ck_assert(bus_write(&guest.machine.io.pio, &guest.vcpu, HYPERCALL_PORT, 4, call));
	ck_assert_uint_eq(guest.page->call_status, ALIAS_OK);
}

void guest_call(enum alias_call call)
{
	guest.page->call_status = ALIAS_PENDING;
	guest_call_again(call);
}

enum alias_status guest_ask_with(uint64_t pfn, enum alias_opcode op, unsigned arg, uint32_t flags)
{
	guest.page->count = 1;
	guest.page->flags = flags;
	guest.page->ops[0] = (struct alias_op){.pfn = pfn, .op = op, .level = (uint16_t)arg};
	guest_call(ALIAS_CALL_PIN);
	return guest.page->ops[0].status;
}

enum alias_status guest_ask(uint64_t pfn, enum alias_opcode op, unsigned arg)
{
	return guest_ask_with(pfn, op, arg, 0);
}

void guest_log_change(uint64_t *entry, uint64_t pte)
{
	struct alias_log *log = &guest.page->log;
	struct alias_log_record *records =
		memory_ptr(&guest.machine.vm.mem, guest.machine.log_gpa, ALIAS_LOG_SIZE);

	records[log->head++ % ALIAS_LOG_RECORDS] = (struct alias_log_record){
		.pte_gpa = memory_gpa(&guest.machine.vm.mem, entry), .from = *entry, .to = pte};
	*entry = pte;
}

void guest_map_at(unsigned entry, uint64_t pte)
{
	struct alias_common_page *common = common_page(&guest.machine);

	if (guest.pin->strict) {
		guest.page->nr_updates = 1;
		guest.page->update_status[0] = ALIAS_PENDING;
		*(struct alias_update *)guest_frame(LIST) =
			(struct alias_update){L1 * PAGE + entry * sizeof(pte), pte};
		guest.page->updates_pfn = LIST;
		guest_call(ALIAS_CALL_UPDATE);
		return;
	}
	common->cleared++;
	guest_frame(L1)[entry] = pte;
	common->flushed = common->cleared;
}

void guest_map(uint64_t pte)
{
	guest_map_at(5, pte);
}

void guest_start_with(enum track_mode track, enum alias_strategy flush)
{
	guest.opt = (struct options){
		.flush = flush, .track = track, .verify = true, .flush_proof = PROOF_GUEST};
	fake_kvm = play_kvm;
	guest.raised = 0;
	guest.let_through = guest.looked_again = 0;
	guest.machine = (struct machine){.opt = &guest.opt,
					 .stop.status = -1,
					 .log_gpa = 4 * MIB - ALIAS_LOG_SIZE,
					 .log_size = ALIAS_LOG_SIZE};
	guest.machine.vm =
		(struct vm){.nr_vcpus = 1, .vcpus = &guest.vcpu, .stop = &guest.machine.stop};
	guest.vcpu = (struct vcpu){.vm = &guest.machine.vm, .run = &guest.run};
	guest.machine.stop.fd = eventfd(0, 0);
	vcpu_pause_init(&guest.machine.vm.pause);
	flush_clock_init(&guest.machine.vm.flush_clock);
	ck_assert_int_eq(track == TRACK_STRICT ? memory_init_twice(&guest.machine.vm.mem, 4 * MIB)
					       : memory_init(&guest.machine.vm.mem, 4 * MIB),
			 0);
	madvise(guest.machine.vm.mem.slot[0].hva, 4 * MIB, MADV_NOHUGEPAGE);
	guest.pin = pin_create(&guest.machine);
	ck_assert_ptr_nonnull(guest.pin);
	guest.page = pin_vcpu_page(&guest.machine, 0);
	guest.page->direct_base = 0xffff888000000000;
	guest.page->direct_size = 1ull << 39;
	guest_call(ALIAS_CALL_REGISTER);
	for (unsigned i = 0; i < 3; i++)
		guest_frame(ROOT + i)[0] = W(ROOT + i + 1);
	for (unsigned level = 1; level <= 4; level++)
		ck_assert_uint_eq(guest_ask(ROOT + 4 - level, ALIAS_OP_PIN, level), ALIAS_OK);
}

void guest_start_track(enum track_mode track)
{
	guest_start_with(track, ALIAS_FLUSH_TRAP);
}

void guest_start(void)
{
	guest_start_track(TRACK_SCAN);
}

void guest_end(void)
{
	around_sync = NULL;
	ck_assert_int_eq(pin_figure(guest.pin, "pins.disagreed"), 0);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.let_through"), guest.let_through);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.looked_again"), guest.looked_again);
	pin_free(guest.pin);
	memory_free(&guest.machine.vm.mem);
	vcpu_pause_destroy(&guest.machine.vm.pause);
	close(guest.machine.stop.fd);
}

int64_t transition_figure(const char *name, const char *figure)
{
	char path[64];

	snprintf(path, sizeof(path), "transitions.%s.%s", name, figure);
	return pin_figure(guest.pin, path);
}

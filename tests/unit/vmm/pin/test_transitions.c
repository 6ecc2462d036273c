/* SPDX-License-Identifier: MIT */
/* Frames that become memory of another type, or are ballooned: the hypercall's answers, and what
 * becomes of the host's memory. The machine has a vCPU that never runs; the test is its guest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fake_kvm.h"
#include "machine.h"
#include "pin/pin.h"
#include "pin/internal.h"
#include "pin_figure.h"
#include "pin/tracking/uffd.h"
#include "suites.h"

#define MIB       (1ull << 20)
#define PAGE      4096u
#define ROOT      0x100u /* and the tables below it, down to L1 */
#define L1        (ROOT + 3)
#define DATA      0x200u
#define MANY      ALIAS_BATCH_MAX
#define PTE_RW    2ull
#define PTE_PWT   8ull
#define W(pfn)    ((uint64_t)(pfn) << 12 | 1 | PTE_RW)
#define R(pfn)    ((uint64_t)(pfn) << 12 | 1)
#define LIST      (ROOT - 1) /* of updates */
#define MAPPED_AT 0x5000ull  /* by entry 5 of L1 */

/* Tables that are compared, and tables that are write-protected. */
static const enum track_mode track_modes[] = {TRACK_SCAN, TRACK_STRICT};

static struct options opt;
static struct machine machine;
static struct pin *pin;
static struct vcpu vcpu;
static struct kvm_run run_page;
static struct alias_vcpu_page *page;
static unsigned raised; /* upcalls */
static uint64_t rip;    /* goes on with each instruction that is completed */

static int play_kvm(int fd, unsigned long request, void *arg)
{
	const struct kvm_vcpu_events *events = arg;

	(void)fd;
	switch (request) {
	case KVM_RUN:
		rip++;
		errno = EINTR;
		return -1;
	case KVM_SET_VCPU_EVENTS:
		raised += events->exception.injected;
		return 0;
	case KVM_GET_VCPU_EVENTS:
		memset(arg, 0, sizeof(*events));
		return 0;
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = (struct kvm_regs){.rip = rip};
		return 0;
	case KVM_SET_REGS:
		rip = ((const struct kvm_regs *)arg)->rip;
		return 0;
	case KVM_GET_SREGS:
	case KVM_SET_SREGS:
	case KVM_SET_USER_MEMORY_REGION:
		return 0;
	default:
		return FAKE_PASS;
	}
}

static uint64_t *frame(uint64_t pfn)
{
	return memory_ptr(&machine.vm.mem, pfn * PAGE, PAGE);
}

/* After an upcall: the same `out` comes again. */
static void ring_again(enum alias_call call)
{
	ck_assert(bus_write(&machine.io.pio, &vcpu, HYPERCALL_PORT, 4, call));
	ck_assert_uint_eq(page->call_status, ALIAS_OK);
}

static void ring(enum alias_call call)
{
	page->call_status = ALIAS_PENDING;
	ring_again(call);
}

/* The answer to one request; ALIAS_PENDING: an upcall was made. */
static enum alias_status ask_with(uint64_t pfn, enum alias_opcode op, unsigned arg, uint32_t flags)
{
	page->count = 1;
	page->flags = flags;
	page->ops[0] = (struct alias_op){.pfn = pfn, .op = op, .level = (uint16_t)arg};
	ring(ALIAS_CALL_PIN);
	return page->ops[0].status;
}

static enum alias_status ask(uint64_t pfn, enum alias_opcode op, unsigned arg)
{
	return ask_with(pfn, op, arg, 0);
}

/* MANY frames with one call. */
static void ask_for_many(enum alias_opcode op)
{
	page->count = MANY;
	page->flags = 0;
	for (unsigned i = 0; i < MANY; i++)
		page->ops[i] = (struct alias_op){.pfn = DATA + i, .op = op};
	ring(ALIAS_CALL_PIN);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_uint_eq(page->ops[i].status, ALIAS_OK);
}

/* Writes entry 5 of L1; what it held is flushed. */
static void map(uint64_t pte)
{
	struct alias_common_page *common = common_page(&machine);

	if (pin->strict) {
		page->nr_updates = 1;
		page->update_status[0] = ALIAS_PENDING;
		*(struct alias_update *)frame(LIST) =
			(struct alias_update){L1 * PAGE + 5 * sizeof(pte), pte};
		page->updates_pfn = LIST;
		ring(ALIAS_CALL_UPDATE);
		return;
	}
	common->cleared++;
	frame(L1)[5] = pte;
	common->flushed = common->cleared;
}

static void set_up_with(enum track_mode track, enum alias_strategy flush)
{
	opt = (struct options){
		.flush = flush, .track = track, .verify = true, .flush_proof = PROOF_GUEST};
	fake_kvm = play_kvm;
	raised = 0;
	machine = (struct machine){.opt = &opt, .stop.status = -1};
	machine.vm = (struct vm){.nr_vcpus = 1, .vcpus = &vcpu, .stop = &machine.stop};
	vcpu = (struct vcpu){.vm = &machine.vm, .run = &run_page};
	machine.stop.fd = eventfd(0, 0);
	vcpu_pause_init(&machine.vm.pause);
	flush_clock_init(&machine.vm.flush_clock);
	ck_assert_int_eq(track == TRACK_STRICT ? memory_init_twice(&machine.vm.mem, 4 * MIB)
					       : memory_init(&machine.vm.mem, 4 * MIB),
			 0);
	madvise(machine.vm.mem.slot[0].hva, 4 * MIB, MADV_NOHUGEPAGE);
	pin = pin_create(&machine);
	ck_assert_ptr_nonnull(pin);
	page = pin_vcpu_page(&machine, 0);
	page->direct_base = 0xffff888000000000;
	page->direct_size = 1ull << 39;
	ring(ALIAS_CALL_REGISTER);
	for (unsigned i = 0; i < 3; i++)
		frame(ROOT + i)[0] = W(ROOT + i + 1);
	for (unsigned level = 1; level <= 4; level++)
		ck_assert_uint_eq(ask(ROOT + 4 - level, ALIAS_OP_PIN, level), ALIAS_OK);
}

static void set_up_track(enum track_mode track)
{
	set_up_with(track, ALIAS_FLUSH_TRAP);
}

static void set_up(void)
{
	set_up_track(TRACK_SCAN);
}

/* Nothing that a test does makes tracker and oracle differ. */
static void tear_down(void)
{
	ck_assert_int_eq(pin_figure(pin, "pins.disagreed"), 0);
	ck_assert_int_eq(pin_figure(pin, "pins.let_through"), 0);
	pin_free(pin);
	memory_free(&machine.vm.mem);
	vcpu_pause_destroy(&machine.vm.pause);
	close(machine.stop.fd);
}

static int64_t of_transition(const char *name, const char *figure)
{
	char path[64];

	snprintf(path, sizeof(path), "transitions.%s.%s", name, figure);
	return pin_figure(pin, path);
}

static bool is_of_guest(unsigned long address)
{
	const struct memory_slot *slot = &machine.vm.mem.slot[0];

	return address - (uintptr_t)slot->hva < slot->size ||
	       (slot->back && address - (uintptr_t)slot->back < slot->size);
}

/* How much of the guest's memory this process has mapped, in bytes. (That of the whole process is
 * counted inexactly, and the allocator's is in it.) */
static uint64_t mapped_here(void)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long start, end, kb, sum = 0;
	bool counts = false;
	char line[512];

	ck_assert_ptr_nonnull(smaps);
	while (fgets(line, sizeof(line), smaps))
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			counts = is_of_guest(start);
		else if (counts && sscanf(line, "Rss: %lu kB", &kb) == 1)
			sum += kb;
	fclose(smaps);
	return sum << 10;
}

START_TEST(requests_are_checked)
{
	static const struct {
		enum alias_opcode op;
		uint64_t pfn;
		unsigned arg;
		enum alias_status status;
	} asked[] = {
		{ALIAS_OP_MEMTYPE, DATA, 8, ALIAS_BAD_MEMTYPE},
		{ALIAS_OP_MEMTYPE, DATA, 0xffff, ALIAS_BAD_MEMTYPE},
		{ALIAS_OP_MEMTYPE, 1ull << 40, 1, ALIAS_BAD_FRAME},
		{ALIAS_OP_INFLATE, UINT64_MAX, 0, ALIAS_BAD_FRAME},
		{ALIAS_OP_DEFLATE, UINT64_MAX, 0, ALIAS_BAD_FRAME},
		{ALIAS_OP_MEMTYPE, SHARED_GPA / PAGE, 1, ALIAS_BAD_FRAME},
		{ALIAS_OP_INFLATE, SHARED_GPA / PAGE + 1, 0, ALIAS_BAD_FRAME},
		{ALIAS_OP_MEMTYPE, ROOT, 1, ALIAS_BAD_STATE},
		{ALIAS_OP_INFLATE, L1, 0, ALIAS_BAD_STATE},
		{ALIAS_OP_DEFLATE, DATA, 0, ALIAS_BAD_STATE},
		{ALIAS_OP_MEMTYPE, DATA, 3, ALIAS_OK},
		{ALIAS_OP_MEMTYPE, DATA, 7, ALIAS_OK},
		{ALIAS_OP_INFLATE, DATA, 0, ALIAS_BAD_STATE},
		{ALIAS_OP_PIN, DATA, 1, ALIAS_BAD_STATE},
		{ALIAS_OP_MEMTYPE, DATA, 0, ALIAS_OK},
		{ALIAS_OP_INFLATE, DATA, 0xffff, ALIAS_OK},
		{ALIAS_OP_INFLATE, DATA, 0, ALIAS_IS_BALLOONED},
		{ALIAS_OP_MEMTYPE, DATA, 1, ALIAS_IS_BALLOONED},
		{ALIAS_OP_PIN, DATA, 1, ALIAS_IS_BALLOONED},
		{ALIAS_OP_UNPIN, DATA, 1, ALIAS_BAD_STATE},
		{ALIAS_OP_DEFLATE, DATA, 0, ALIAS_OK},
		{ALIAS_OP_PIN, DATA, 1, ALIAS_OK},
		{ALIAS_OP_UNPIN, DATA, 1, ALIAS_OK},
		{(enum alias_opcode)6, DATA, 1, ALIAS_BAD_OP},
	};

	for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		ck_assert_msg(ask(asked[i].pfn, asked[i].op, asked[i].arg) == asked[i].status,
			      "request %u: %u", i, page->ops[0].status);
	ck_assert_int_eq(of_transition("memtype", "requests"), 9);
	ck_assert_int_eq(of_transition("memtype", "granted"), 3);
	ck_assert_int_eq(of_transition("inflate", "requests"), 6);
	ck_assert_int_eq(of_transition("inflate", "refused"), 5);
	ck_assert_int_eq(of_transition("deflate", "granted"), 1);
	ck_assert_int_eq(of_transition("deflate", "refused"), 2);
	ck_assert_int_eq(of_transition("pin", "requests"), 4 + 3);
	ck_assert_int_eq(pin_figure(pin, "pins.violations"), 0);
}
END_TEST

/* Of the process's memory, by what the kernel says of it; and it comes back with nothing in it. */
START_TEST(what_is_given_away_is_released)
{
	uint64_t guest, mapped, all = MANY * PAGE;

	set_up_track(track_modes[_i]);
	for (unsigned i = 0; i < MANY; i++)
		memset(frame(DATA + i), 0x5a, PAGE);
	guest = memory_resident(&machine.vm.mem);
	mapped = mapped_here();
	ask_for_many(ALIAS_OP_INFLATE);
	ck_assert_uint_eq(memory_resident(&machine.vm.mem), guest - all);
	ck_assert_uint_le(mapped_here(), mapped - all);
	frame(DATA)[3] = 0xbad; /* what the guest must not do */
	ask_for_many(ALIAS_OP_DEFLATE);
	ck_assert_uint_eq(memory_resident(&machine.vm.mem), guest);
	for (unsigned i = 0; i < MANY * 512; i++)
		ck_assert(frame(DATA)[i] == 0);
	tear_down();
}
END_TEST

static const struct {
	const char *name; /* in the statistics */
	enum alias_opcode op;
	unsigned arg;
	uint64_t in_the_way, not_in_the_way; /* entries; 0: all are */
	enum alias_status forbidden;         /* what a store of such an entry is answered */
} ops[] = {
	{"pin", ALIAS_OP_PIN, 1, W(DATA), R(DATA), ALIAS_MAPS_TABLE},
	{"memtype", ALIAS_OP_MEMTYPE, 1, R(DATA), W(DATA) | PTE_PWT, ALIAS_MEMTYPE_CONFLICT},
	{"inflate", ALIAS_OP_INFLATE, 0, R(DATA), 0, ALIAS_MAPS_BALLOONED},
};

#define NR_OPS ((int)(sizeof(ops) / sizeof(ops[0])))

/* Once; the mapping goes, and the same call is granted. */
START_TEST(a_stale_alias_traps)
{
	enum alias_opcode op = ops[_i % NR_OPS].op;
	const char *name;

	set_up_track(track_modes[_i / NR_OPS]);
	name = ops[_i % NR_OPS].name;
	frame(DATA)[0] = 0x1234;
	map(ops[_i % NR_OPS].in_the_way);
	ck_assert_uint_eq(ask_with(DATA, op, ops[_i % NR_OPS].arg, ALIAS_BATCH_UPCALL),
			  ALIAS_PENDING);
	ck_assert_uint_eq(raised, 1);
	ck_assert_uint_eq(page->fault.pfn, DATA);
	ck_assert_uint_eq(page->fault.nr, 1);
	ck_assert_uint_eq(page->fault.va[0], MAPPED_AT);
	ck_assert_uint_eq(frame(DATA)[0], 0x1234);
	map(0);
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_OK);
	ck_assert_int_eq(of_transition(name, "aliases_met"), 1);
	ck_assert_int_eq(of_transition(name, "upcalls"), 1);
	ck_assert_int_eq(of_transition(name, "upcalls_resolved"), 1);
	ck_assert_uint_eq(frame(DATA)[0], op == ALIAS_OP_INFLATE ? 0 : 0x1234);
	tear_down();
}
END_TEST

/* A frame whose alias is gone, while the flush that covers it is on its way. */
static enum alias_status ask_during_flush(void)
{
	set_up_track(TRACK_SCAN);
	map(W(DATA));
	ask(DATA, ALIAS_OP_PIN, 1);
	common_page(&machine)->cleared++;
	frame(L1)[5] = 0;
	return ask_with(DATA, ALIAS_OP_PIN, 1, ALIAS_BATCH_WAIT);
}

START_TEST(a_flush_under_way_is_waited_for)
{
	ck_assert_uint_eq(ask_during_flush(), ALIAS_PENDING);
	ck_assert_uint_eq(raised, 1);
	ck_assert_uint_eq(page->fault.pfn, DATA);
	ck_assert_uint_eq(page->fault.nr, 0);
	common_page(&machine)->flushed = common_page(&machine)->cleared;
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_OK);
	ck_assert_int_eq(pin_figure(pin, "pins.waits"), 1);
	ck_assert_int_eq(pin_figure(pin, "pins.host_flushes"), 0);
	tear_down();
}
END_TEST

START_TEST(a_flush_that_does_not_come_is_waited_for_once)
{
	ck_assert_uint_eq(ask_during_flush(), ALIAS_PENDING);
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_OK);
	ck_assert_int_eq(pin_figure(pin, "pins.waits"), 1);
	ck_assert_int_eq(pin_figure(pin, "pins.host_flushes"), 1);
	tear_down();
}
END_TEST

static enum alias_status ask_for_pin(void)
{
	return ask_with(DATA, ALIAS_OP_PIN, 1, ALIAS_BATCH_UPCALL);
}

/* Whatever became of the handlers before: what was asked and never came again is no second try. */
START_TEST(a_new_call_has_its_own_upcall)
{
	set_up_track(track_modes[_i]);
	map(W(DATA));
	for (unsigned i = 0; i < 3 * RETRIES_MAX; i++) {
		ck_assert_uint_eq(ask_for_pin(), ALIAS_PENDING);
		ck_assert_uint_eq(raised, i + 1);
		rip += i % 2;
	}
	rip += 100; /* not even if the guest says nothing */
	page->call_status = ALIAS_OK;
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_PENDING);
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_HAS_ALIAS);
	ck_assert_int_eq(of_transition("pin", "refused"), 1);
	tear_down();
}
END_TEST

/* The handler asks for the same, and has an upcall and a refusal of its own. */
START_TEST(a_call_in_a_handler_has_its_own_upcall)
{
	set_up_track(track_modes[_i]);
	map(W(DATA));
	ck_assert_uint_eq(ask_for_pin(), ALIAS_PENDING);
	ck_assert_uint_eq(ask_for_pin(), ALIAS_PENDING);
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_HAS_ALIAS);
	page->ops[0].status = ALIAS_PENDING;
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_HAS_ALIAS);
	ck_assert_uint_eq(raised, 2);
	ck_assert_uint_eq(pin->vcpus[0].nr_retries, 0);
	tear_down();
}
END_TEST

/* Another op on the same frame, in the place of the one that had the upcall. */
START_TEST(another_op_has_its_own_upcall)
{
	set_up_track(track_modes[_i]);
	map(W(DATA));
	ck_assert_uint_eq(ask_for_pin(), ALIAS_PENDING);
	page->ops[0].op = ALIAS_OP_INFLATE;
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_PENDING);
	ck_assert_uint_eq(raised, 2);
	tear_down();
}
END_TEST

START_TEST(a_live_alias_refuses)
{
	enum alias_opcode op = ops[_i % NR_OPS].op;
	unsigned arg = ops[_i % NR_OPS].arg;
	const char *name;

	set_up_track(track_modes[_i / NR_OPS]);
	name = ops[_i % NR_OPS].name;
	frame(DATA)[0] = 0x1234;
	map(ops[_i % NR_OPS].in_the_way);
	ask_with(DATA, op, arg, ALIAS_BATCH_UPCALL);
	ring_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_HAS_ALIAS);
	ck_assert_uint_eq(raised, 1);
	ck_assert_uint_eq(page->fault.va[0], MAPPED_AT);
	ck_assert_int_eq(of_transition(name, "refused"), 1);
	ck_assert_int_eq(of_transition(name, "upcalls_resolved"), 0);
	ck_assert_uint_eq(frame(DATA)[0], 0x1234);
	if (ops[_i % NR_OPS].not_in_the_way) {
		map(ops[_i % NR_OPS].not_in_the_way);
		ck_assert_uint_eq(ask(DATA, op, arg), ALIAS_OK);
	}
	tear_down();
}
END_TEST

/* What is mapped after the grant as it must not be is reported, or prevented. */
START_TEST(a_later_mapping_is_a_violation)
{
	bool strict = track_modes[_i / NR_OPS] == TRACK_STRICT;

	set_up_track(track_modes[_i / NR_OPS]);
	ck_assert_uint_eq(ask(DATA, ops[_i % NR_OPS].op, ops[_i % NR_OPS].arg), ALIAS_OK);
	if (ops[_i % NR_OPS].not_in_the_way) {
		map(ops[_i % NR_OPS].not_in_the_way);
		ask(DATA + 1, ALIAS_OP_DEFLATE, 0); /* some call: the host looks */
		ck_assert_int_eq(pin_figure(pin, "pins.violations"), 0);
	}
	map(ops[_i % NR_OPS].in_the_way);
	ask(DATA + 1, ALIAS_OP_DEFLATE, 0);
	ck_assert_int_eq(pin_figure(pin, "pins.violations"), 1);
	ck_assert_int_eq(pin_figure(pin, "pins.stores_refused"), strict);
	if (strict)
		ck_assert_uint_eq(page->update_status[0], ops[_i % NR_OPS].forbidden);
	tear_down();
}
END_TEST

/* Two entries in one store, of which the second is refused: the first was, and stays, a mapping
 * that would be refused by now. What is known of its frame stays true all the same. */
START_TEST(a_store_that_is_taken_back)
{
	struct change changes[] = {{.pte_gpa = L1 * PAGE + 5 * 8},
				   {.pte_gpa = L1 * PAGE + 6 * 8, .pte = W(L1)}};
	struct batch batch = {.vcpu = &vcpu};

	set_up_with(TRACK_STRICT, ALIAS_FLUSH_NONE);
	map(W(DATA));
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_PIN, 1), ALIAS_OK);
	ck_assert_uint_eq(pin->count.let_through, 1);
	pin->count.let_through = 0;
	batch.pin = pin;
	batch.page = page;
	ck_assert_int_eq(change_entries(&batch, changes, 2), SERVED);
	ck_assert_uint_eq(changes[0].status, ALIAS_MAPS_TABLE);
	ck_assert_uint_eq(frame(L1)[5] >> 12, DATA);
	ck_assert_uint_eq(frame(L1)[6], 0);
	ck_assert_uint_eq(at_oracle(pin->at, DATA, NULL, 0), 1);
	ck_assert(at_has_alias(pin->at, DATA));
	tear_down();
}
END_TEST

/* The host clears a frame that the guest has as a table meanwhile: what else is asked for with the
 * same call is judged by that. */
START_TEST(a_table_cleared_within_a_call)
{
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	frame(ROOT + 2)[1] = W(DATA);
	frame(DATA)[0] = W(DATA + 1);
	ck_assert_uint_eq(ask(DATA + 1, ALIAS_OP_PIN, 1), ALIAS_HAS_ALIAS);
	page->count = 2;
	page->ops[0] = (struct alias_op){.pfn = DATA, .op = ALIAS_OP_DEFLATE};
	page->ops[1] = (struct alias_op){.pfn = DATA + 1, .op = ALIAS_OP_PIN, .level = 1};
	ring(ALIAS_CALL_PIN);
	ck_assert_uint_eq(page->ops[0].status, ALIAS_OK);
	ck_assert_uint_eq(page->ops[1].status, ALIAS_OK);
	ck_assert_int_eq(pin_figure(pin, "pins.disagreed"), 0);
}
END_TEST

/* A page that the system does not let go of stays the guest's. */
START_TEST(what_cannot_be_released)
{
	frame(DATA)[0] = 0x1234;
	/* Not mlock(), which sanitizers make do nothing. */
	ck_assert_int_eq(syscall(SYS_mlock, frame(DATA), PAGE), 0);
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_NO_MEMORY);
	ck_assert_uint_eq(frame(DATA)[0], 0x1234);
	ck_assert_int_eq(of_transition("inflate", "refused"), 1);
	syscall(SYS_munlock, frame(DATA), PAGE);
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_MEMTYPE, 1), ALIAS_OK);
}
END_TEST

/* And where there is no page to be had, it stays away. */
START_TEST(what_cannot_come_back)
{
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	mprotect(frame(DATA), PAGE, PROT_READ);
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_DEFLATE, 0), ALIAS_NO_MEMORY);
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_PIN, 1), ALIAS_IS_BALLOONED);
	mprotect(frame(DATA), PAGE, PROT_READ | PROT_WRITE);
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_DEFLATE, 0), ALIAS_OK);
}
END_TEST

/* Mappings that went before anybody counted those that can only read may be in a TLB. */
START_TEST(the_first_transition_has_no_evidence)
{
	struct alias_common_page *common = common_page(&machine);

	map(R(DATA));
	ask(DATA, ALIAS_OP_UNPIN, 0); /* the host looks */
	common->cleared++;
	frame(L1)[5] = 0;
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	ck_assert_int_eq(pin_figure(pin, "pins.host_flushes"), 1);
	ck_assert_uint_eq(atomic_load(&vcpu.todo), VCPU_FLUSH_TLB);
	/* It will flush before it runs, and so it has for all that follow. */
	ck_assert_uint_eq(ask(DATA + 1, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	ck_assert_int_eq(pin_figure(pin, "pins.host_flushes"), 1);
}
END_TEST

static json_int_t number(const json_t *from, const char *group, const char *name)
{
	const json_t *value = json_object_get(json_object_get(from, group), name);

	ck_assert_msg(json_is_integer(value), "no number %s.%s", group, name);
	return json_integer_value(value);
}

START_TEST(statistics_tell_them_apart)
{
	json_t *root = json_object();
	const json_t *transitions;

	ask(DATA, ALIAS_OP_MEMTYPE, 3);
	ask(DATA + 1, ALIAS_OP_INFLATE, 0);
	ask(DATA + 2, ALIAS_OP_INFLATE, 0);
	ask(DATA + 2, ALIAS_OP_DEFLATE, 0);
	map(R(DATA + 3));
	ask(DATA + 3, ALIAS_OP_INFLATE, 0);
	page->stats.inflates = 3;
	pin_stats(pin, root);
	transitions = json_object_get(root, "transitions");
	ck_assert_int_eq(number(transitions, "pin", "granted"), 4);
	ck_assert_int_eq(number(transitions, "memtype", "granted"), 1);
	ck_assert_int_eq(number(transitions, "inflate", "requests"), 3);
	ck_assert_int_eq(number(transitions, "inflate", "refused"), 1);
	ck_assert_int_eq(number(transitions, "inflate", "aliases_met"), 1);
	ck_assert_int_eq(number(transitions, "deflate", "granted"), 1);
	ck_assert_int_eq(number(root, "pins", "pins"), 4);
	ck_assert_int_eq(number(root, "pins", "aliases_met"), 1);
	ck_assert_int_eq(number(root, "tracker", "ballooned"), 1);
	ck_assert_int_eq(number(root, "tracker", "memtyped"), 1);
	ck_assert_int_eq(number(root, "guest", "inflates"), 3);
	json_decref(root);
}
END_TEST

START_TEST(frames_are_described)
{
	json_t *before = json_object(), *after = json_object(), *given = json_object();

	map(R(DATA));
	ck_assert_ptr_null(pin_describe_frame(pin, DATA, before));
	ck_assert(json_is_null(json_object_get(before, "mapping_count")));
	ask(DATA + 1, ALIAS_OP_INFLATE, 0);
	ask(DATA, ALIAS_OP_MEMTYPE, 0);
	ck_assert_ptr_null(pin_describe_frame(pin, DATA, after));
	ck_assert_int_eq(json_integer_value(json_object_get(after, "mapping_count")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(after, "alias_count")), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(after, "aliases")), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(after, "mappings")), 1);
	ck_assert(json_is_false(json_object_get(after, "ballooned")));
	ck_assert_ptr_null(pin_describe_frame(pin, DATA + 1, given));
	ck_assert(json_is_true(json_object_get(given, "ballooned")));
	json_decref(before);
	json_decref(after);
	json_decref(given);
}
END_TEST

static size_t dirtied(struct uffd_wp *uffd, uint64_t *pfn)
{
	return uffd_wp_dirtied(uffd, pfn, 1);
}

/* Write tracking knows nothing of it, and need not: what comes and goes was not armed when it went,
 * is not write-protected when it is back, and can be armed again; what lies beside it stays armed.
 */
START_TEST(write_tracking_survives)
{
	const char *why;
	struct uffd_wp *uffd = uffd_wp_start(&machine.vm, &why);
	uint64_t pfn;

	if (!uffd) {
		printf("skip write_tracking_survives: %s\n", why);
		return;
	}
	ck_assert(uffd_wp_arm(uffd, DATA));
	ck_assert(uffd_wp_arm(uffd, DATA + 1));
	uffd_wp_disarm(uffd, DATA);
	ck_assert(memory_give_up(&machine.vm.mem, DATA * PAGE));
	frame(DATA)[0] = 1;
	ck_assert_uint_eq(dirtied(uffd, &pfn), 0);
	ck_assert(memory_renew(&machine.vm.mem, DATA * PAGE));
	frame(DATA)[0] = 1;
	ck_assert_uint_eq(dirtied(uffd, &pfn), 0);
	ck_assert(uffd_wp_arm(uffd, DATA));
	frame(DATA)[0] = 2;
	ck_assert_uint_eq(dirtied(uffd, &pfn), 1);
	ck_assert_uint_eq(pfn, DATA);
	/* A write that was noted, and not asked for, when its frame goes. */
	frame(DATA + 1)[0] = 2;
	ck_assert(memory_give_up(&machine.vm.mem, (DATA + 1) * PAGE));
	frame(DATA + 1)[0] = 3;
	ck_assert_uint_eq(dirtied(uffd, &pfn), 1);
	ck_assert_uint_eq(pfn, DATA + 1);
	uffd_wp_stop(uffd);
}
END_TEST

/* A guest gone astray links a frame that it gave away as a table, and then takes it back: that the
 * table is another page now is not lost on write tracking. */
START_TEST(a_table_that_comes_back)
{
	uint64_t *table;

	set_up_track(TRACK_DIRTY);
	table = frame(DATA);
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	table[0] = W(DATA + 8);
	frame(L1 - 1)[1] = W(DATA);
	ck_assert_uint_eq(ask(DATA + 8, ALIAS_OP_PIN, 1), ALIAS_HAS_ALIAS);
	ck_assert_int_eq(pin_figure(pin, "pins.violations"), 1);
	for (unsigned i = 0; i < 100; i++)
		ask(DATA, ALIAS_OP_UNPIN,
		    0); /* the host looks until it is quiet enough to be armed */
	ck_assert(!pin->uffd || pin_figure(pin, "tracker.arms") > 0);
	ck_assert_uint_eq(ask(DATA, ALIAS_OP_DEFLATE, 0), ALIAS_OK);
	ck_assert_uint_eq(ask(DATA + 8, ALIAS_OP_PIN, 1), ALIAS_OK);
	table[1] = W(DATA + 9);
	ck_assert_uint_eq(ask(DATA + 9, ALIAS_OP_PIN, 1), ALIAS_HAS_ALIAS);
	tear_down();
}
END_TEST

static const struct {
	struct transition_facts facts;
	enum transition_step next;
} decisions[] = {
	/* clean, or not known to be */
	{{.verdict = AT_OK}, STEP_BECOME},
	{{.verdict = AT_OK, .final = true}, STEP_ANSWER},
	{{.verdict = AT_BAD_LEVEL}, STEP_BECOME},
	{{.verdict = AT_BAD_LEVEL, .final = true, .can_purge = true}, STEP_ANSWER},
	/* TLBs: the guest's own flush before the host's, and neither where it changes nothing */
	{{.verdict = AT_STALE_TLB, .unflushed = true, .can_wait = true}, STEP_WAIT},
	{{.verdict = AT_STALE_TLB, .unflushed = true, .can_purge = true}, STEP_FLUSH},
	{{.verdict = AT_OK, .unflushed = true}, STEP_FLUSH},
	{{.verdict = AT_STALE_TLB, .final = true, .unflushed = true, .can_wait = true},
	 STEP_ANSWER},
	/* an alias: never an upcall before the verdict is final */
	{{.verdict = AT_ALIAS, .can_purge = true}, STEP_BECOME},
	{{.verdict = AT_ALIAS, .final = true, .can_purge = true}, STEP_PURGE},
	{{.verdict = AT_ALIAS, .final = true}, STEP_ANSWER},
};

START_TEST(decides)
{
	ck_assert_int_eq(transition_next(&decisions[_i].facts), decisions[_i].next);
}
END_TEST

TCase *transition_tests(void)
{
	/* These have the mode of tracking that they are asked to have. */
	TCase *tc = tcase_create("transitions");
	int nr = sizeof(decisions) / sizeof(decisions[0]);

	tcase_add_loop_test(tc, what_is_given_away_is_released, 0, 2);
	tcase_add_loop_test(tc, a_stale_alias_traps, 0, 2 * NR_OPS);
	tcase_add_test(tc, a_flush_under_way_is_waited_for);
	tcase_add_test(tc, a_flush_that_does_not_come_is_waited_for_once);
	tcase_add_loop_test(tc, a_new_call_has_its_own_upcall, 0, 2);
	tcase_add_loop_test(tc, a_call_in_a_handler_has_its_own_upcall, 0, 2);
	tcase_add_loop_test(tc, another_op_has_its_own_upcall, 0, 2);
	tcase_add_loop_test(tc, a_live_alias_refuses, 0, 2 * NR_OPS);
	tcase_add_loop_test(tc, a_later_mapping_is_a_violation, 0, 2 * NR_OPS);
	tcase_add_test(tc, a_table_that_comes_back);
	tcase_add_loop_test(tc, decides, 0, nr);
	tcase_add_test(tc, a_store_that_is_taken_back);
	return tc;
}

TCase *transition_request_tests(void)
{
	TCase *tc = tcase_create("transition requests");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, requests_are_checked);
	tcase_add_test(tc, a_table_cleared_within_a_call);
	tcase_add_test(tc, what_cannot_be_released);
	tcase_add_test(tc, what_cannot_come_back);
	tcase_add_test(tc, the_first_transition_has_no_evidence);
	tcase_add_test(tc, statistics_tell_them_apart);
	tcase_add_test(tc, frames_are_described);
	tcase_add_test(tc, write_tracking_survives);
	return tc;
}

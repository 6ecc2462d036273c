/* SPDX-License-Identifier: MIT */
/*
 * Pins by several vCPUs at once, each on the real thread of a vCPU: the hypercall, the tracker
 * behind its lock, write tracking (where userfaultfd is allowed) and flushes by the host, while
 * another thread asks for this and that. KVM is played here: each entry into the guest is one step
 * of it. (There is a build with ThreadSanitizer.)
 */
#include <errno.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "alias_abi.h"
#include "fake_kvm.h"
#include "machine.h"
#include "machine_map.h"
#include "pin/pin.h"
#include "pin/internal.h"
#include "pin_figure.h"
#include "stats.h"
#include "status.h"
#include "suites.h"

#define NR       4u
#define ROUNDS   200u
#define FIRST_FD 1000
#define RUN_SIZE 8192u
#define DATA_OFF 4096u
#define MEM      (4ull << 20)
/* Each vCPU's own: a root, the tables below it, then frames to be pinned. */
#define ROOT(vcpu) (0x100u + 0x40u * (vcpu))
#define NR_DATA    32u
#define W(pfn)     ((uint64_t)(pfn) << 12 | 3)

enum step { MAP, UNMAP, UNPIN, NEXT };

static struct options opt;
static struct machine machine;
static struct pin *pin;
static struct vcpu vcpus[NR];
static union {
	struct kvm_run run;
	uint8_t bytes[RUN_SIZE];
} runs[NR];
static struct guest {
	enum step step;
	unsigned round;
	_Atomic unsigned idle;
	_Atomic unsigned done;  /* rounds */
	_Atomic unsigned wrong; /* answers that were not as they must be */
} guests[NR];
static _Thread_local volatile sig_atomic_t signalled;

static void on_kick(int signal)
{
	(void)signal;
	signalled = 1;
}

/* --- the guest -------------------------------------------------------------------------------- */

static void set_entry(uint64_t table, unsigned index, uint64_t pte)
{
	uint64_t *entry = memory_ptr(&machine.vm.mem, table * 4096 + index * 8, 8);

	__atomic_store_n(entry, pte, __ATOMIC_RELEASE);
}

static struct alias_op *entry_of(unsigned vcpu)
{
	return pin_vcpu_page(&machine, vcpu)->ops;
}

/* The exit of an `out` to the hypercall, with a batch of one. */
static void ask(unsigned vcpu, uint16_t op, uint64_t pfn, uint16_t level)
{
	struct kvm_run *run = &runs[vcpu].run;
	uint32_t call = ALIAS_CALL_PIN;

	*entry_of(vcpu) = (struct alias_op){.pfn = pfn, .op = op, .level = level};
	pin_vcpu_page(&machine, vcpu)->count = 1;
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.size = 4;
	run->io.port = HYPERCALL_PORT;
	run->io.count = 1;
	run->io.data_offset = DATA_OFF;
	run->s.regs.regs.rax = call;
	memcpy(runs[vcpu].bytes + DATA_OFF, &call, sizeof(call));
}

/* A frame is mapped and can't be pinned; is unmapped and can; and is pinned no more. */
static void guest_step(unsigned vcpu)
{
	struct guest *guest = &guests[vcpu];
	unsigned index = guest->round % NR_DATA;
	uint64_t pfn = ROOT(vcpu) + 4 + index, l1 = ROOT(vcpu) + 3;
	uint32_t status = entry_of(vcpu)->status;

	switch (guest->step++) {
	case MAP:
		set_entry(l1, index, W(pfn));
		ask(vcpu, ALIAS_OP_PIN, pfn, 1);
		break;
	case UNMAP:
		guest->wrong += status != ALIAS_HAS_ALIAS;
		set_entry(l1, index, 0);
		ask(vcpu, ALIAS_OP_PIN, pfn, 1);
		break;
	case UNPIN:
		guest->wrong += status != ALIAS_OK;
		ask(vcpu, ALIAS_OP_UNPIN, pfn, 0);
		break;
	case NEXT:
		guest->wrong += status != ALIAS_OK;
		guest->step = MAP;
		guest->round++;
		guest->done++;
		runs[vcpu].run.exit_reason = KVM_EXIT_INTR;
		break;
	}
}

static int run_guest(unsigned vcpu)
{
	signalled = 0;
	runs[vcpu].run.s.regs.regs.rip++;
	if (!__atomic_load_n(&runs[vcpu].run.immediate_exit, __ATOMIC_SEQ_CST)) {
		if (guests[vcpu].round < ROUNDS) {
			guest_step(vcpu);
			return 0;
		}
		while (!signalled) {
			guests[vcpu].idle++; /* ThreadSanitizer lets signals in here */
			sched_yield();
		}
	}
	errno = EINTR;
	return -1;
}

static int play_kvm(int fd, unsigned long request, void *arg)
{
	if (fd < FIRST_FD || fd >= FIRST_FD + (int)NR)
		return FAKE_PASS;
	if (request == KVM_RUN)
		return run_guest((unsigned)fd - FIRST_FD);
	if (request == KVM_GET_SREGS)
		memset(arg, 0, sizeof(struct kvm_sregs));
	return 0;
}

/* --- the machine ------------------------------------------------------------------------------ */

static void call_now(unsigned vcpu, unsigned len, uint32_t call)
{
	runs[vcpu].run.s.regs.regs.rax = call;
	ck_assert(bus_write(&machine.io.pio, &vcpus[vcpu], HYPERCALL_PORT, len, call));
}

static void pin_now(unsigned vcpu, uint64_t pfn, uint16_t level)
{
	ask(vcpu, ALIAS_OP_PIN, pfn, level);
	call_now(vcpu, 4, ALIAS_CALL_PIN);
	ck_assert_uint_eq(entry_of(vcpu)->status, ALIAS_OK);
}

static void start_machine(enum track_mode track, enum flush_proof proof)
{
	struct sigaction action = {.sa_handler = on_kick};
	sigset_t kick;

	sigaction(VCPU_KICK_SIGNAL, &action, NULL);
	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &kick, NULL);
	fake_kvm = play_kvm;
	memset(guests, 0, sizeof(guests));
	opt = (struct options){.track = track,
			       .flush = ALIAS_FLUSH_TRAP,
			       .flush_proof = proof,
			       .audit = 4,
			       .control = "socket"};
	machine = (struct machine){.opt = &opt, .stop.status = -1};
	machine.vm = (struct vm){.nr_vcpus = NR,
				 .vcpus = vcpus,
				 .stop = &machine.stop,
				 .io_ops = &io_space_ops,
				 .io = &machine.io};
	machine.stop.fd = eventfd(0, 0);
	vcpu_pause_init(&machine.vm.pause);
	flush_clock_init(&machine.vm.flush_clock);
	ck_assert_int_eq(memory_init(&machine.vm.mem, MEM), 0);
	for (unsigned i = 0; i < NR; i++)
		vcpus[i] = (struct vcpu){.index = i,
					 .fd = FIRST_FD + (int)i,
					 .vm = &machine.vm,
					 .run = &runs[i].run,
					 .run_size = RUN_SIZE};
	pin = pin_create(&machine);
	ck_assert_ptr_nonnull(pin);
	pin_vcpu_page(&machine, 0)->direct_base = 0xffff888000000000;
	pin_vcpu_page(&machine, 0)->direct_size = 1ull << 39;
	call_now(0, 4, ALIAS_CALL_REGISTER);
	ck_assert_uint_eq(pin_vcpu_page(&machine, 0)->call_status, ALIAS_OK);
	for (unsigned i = 0; i < NR; i++) {
		for (unsigned level = 4; level > 1; level--)
			set_entry(ROOT(i) + 4 - level, 0, W(ROOT(i) + 5 - level));
		for (uint16_t level = 1; level <= 4; level++)
			pin_now(i, ROOT(i) + 4u - level, level);
	}
}

static void end_machine(void)
{
	pin_free(pin);
	memory_free(&machine.vm.mem);
	vcpu_pause_destroy(&machine.vm.pause);
	close(machine.stop.fd);
	fake_kvm = NULL;
}

/* What the control socket has the main thread do meanwhile. */
static void ask_for_something(unsigned turn)
{
	static const enum track_mode track_modes[] = {TRACK_SCAN, TRACK_DIRTY};
	json_t *answer = json_object();

	switch (turn % 4) {
	case 0:
		ck_assert_ptr_null(pin_describe_frame(pin, ROOT(turn % NR) + 3, answer));
		break;
	case 1:
		ck_assert_ptr_null(pin_set_track_mode(pin, track_modes[turn / 4 % 2], answer));
		break;
	case 2:
		json_object_set_new(answer, "stats", stats_collect(&machine, pin, 0));
		break;
	default:
		hold_all_vcpus(&machine.vm);
		release_all_vcpus(&machine.vm);
		break;
	}
	json_decref(answer);
}

static bool all_done(void)
{
	for (unsigned i = 0; i < NR; i++)
		if (guests[i].done < ROUNDS)
			return false;
	return true;
}

static const struct {
	enum track_mode track;
	enum flush_proof proof;
	bool asks;
} ways[] = {
	{TRACK_DIRTY, PROOF_GUEST, false},
	{TRACK_DIRTY, PROOF_HOST, false},
	{TRACK_DIRTY, PROOF_HOST, true},
	{TRACK_SCAN, PROOF_GUEST, true},
};

START_TEST(all_at_once)
{
	start_machine(ways[_i].track, ways[_i].proof);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(vcpu_start(&vcpus[i]), 0);
	for (unsigned turn = 0; !all_done(); turn++) {
		if (ways[_i].asks)
			ask_for_something(turn);
		sched_yield();
	}
	stop_request(&machine.stop, 0);
	for (unsigned i = 0; i < NR; i++)
		vcpu_join(&vcpus[i]);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_uint_eq(guests[i].wrong, 0);
	ck_assert(pin_final_audit(pin));
	ck_assert_int_eq(pin_figure(pin, "pins.violations"), 0);
	ck_assert_int_eq(pin_figure(pin, "pins.unpins"), (int64_t)NR * ROUNDS);
	end_machine();
}
END_TEST

/* However long it would take; the audit at the end is done. */
START_TEST(a_stop_ends_a_sync)
{
	start_machine(TRACK_DIRTY, PROOF_GUEST);
	sync_tables(pin);
	ck_assert(at_sync(pin->at));
	stop_request(&machine.stop, VMM_EX_TIMEOUT);
	ck_assert(!at_sync(pin->at));
	ck_assert_int_eq(at_check(pin->at, 10, 1), AT_NO_MEMORY);
	ck_assert(pin_final_audit(pin));
	ck_assert(at_sync(pin->at));
	end_machine();
}
END_TEST

static enum alias_status ask_for_flush(unsigned len)
{
	struct alias_vcpu_page *page = pin_vcpu_page(&machine, 1);

	page->call_status = ALIAS_PENDING;
	call_now(1, len, ALIAS_CALL_FLUSH);
	return page->call_status;
}

/* A batch under way stays as it is, nobody's pin is waited for, and no clock moves: what the guest
 * makes of it is its own word. */
START_TEST(a_flush_is_done_beside_all_else)
{
	struct alias_vcpu_page *page;

	start_machine(TRACK_DIRTY, PROOF_GUEST);
	pin->flushes = false;
	ck_assert_uint_eq(ask_for_flush(4), ALIAS_BAD_CALL);
	ck_assert_int_eq(memory_share(&machine.vm.mem, SHARED_GPA, (NR + 1ul) * ALIAS_PAGE_SIZE),
			 0);
	pin->flushes = true;
	page = pin_vcpu_page(&machine, 1);
	page->count = 7;
	page->fault.va[3] = 0x3000;
	common_page(&machine)->cleared = 5;
	pthread_mutex_lock(&pin->lock);
	ck_assert_uint_eq(ask_for_flush(4), ALIAS_OK);
	pthread_mutex_unlock(&pin->lock);
	ck_assert_uint_eq(page->count, 7);
	ck_assert_uint_eq(page->fault.va[3], 0x3000);
	ck_assert_uint_eq(common_page(&machine)->cleared, 5);
	ck_assert_uint_eq(common_page(&machine)->flushed, 0);
	ck_assert_uint_eq(flush_stamp_get(&vcpus[1].flushed), 0);
	ck_assert_uint_eq(ask_for_flush(1), ALIAS_BAD_CALL);
	ck_assert_uint_eq(vcpus[1].stats.flush_calls, 1);
	end_machine();
}
END_TEST

TCase *hypercall_tests(void)
{
	TCase *tc = tcase_create("hypercall");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, all_at_once, 0, sizeof(ways) / sizeof(ways[0]));
	tcase_add_test(tc, a_stop_ends_a_sync);
	tcase_add_test(tc, a_flush_is_done_beside_all_else);
	return tc;
}

/* SPDX-License-Identifier: MIT */
/* Whose TLB is flushed, and whose is not: the stamps, and the hypercall's use of them. The vCPUs
 * are out of the guest here; what they do on their way in is done by hand. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "around_sync.h"
#include "fake_kvm.h"
#include "machine.h"
#include "pin/internal.h"
#include "pin/pin.h"
#include "pin_figure.h"
#include "suites.h"

#define NR     4u
#define BYTES  (4ull << 20)
#define ROOT   0x100u /* and the tables below it, down to L1 */
#define L1     (ROOT + 3)
#define DATA   0x200u
#define W(pfn) ((uint64_t)(pfn) << 12 | 3)

static struct alias_common_page *common;
static struct options opt;
static struct machine machine;
static struct vcpu vcpus[NR];
static struct kvm_run runs[NR];
static struct pin *pin;
static bool no_flush;

/* A vCPU that is not paused maps a frame, uses it, and drops it, just when a sync has begun; once.
 */
static bool one_is_busy;

/* What a vCPU does in the moment after a stamp was read: it begins to flush, or comes to its end
 * with that; once. */
static struct {
	const struct flush_stamp *after; /* NULL: nothing */
	bool paused;                     /* and only while somebody is */
	unsigned vcpu;
	uint64_t tick; /* of the flush that ends; 0: it begins */
} moment;

uint64_t __real_flush_stamp_get(const struct flush_stamp *stamp);
uint64_t __wrap_flush_stamp_get(const struct flush_stamp *stamp);

uint64_t __wrap_flush_stamp_get(const struct flush_stamp *stamp)
{
	uint64_t value = __real_flush_stamp_get(stamp);
	struct vcpu *vcpu = &vcpus[moment.vcpu];

	if (stamp != moment.after || (moment.paused && !atomic_load(&machine.vm.pause.paused)))
		return value;
	moment.after = NULL;
	if (moment.tick)
		flush_stamp_set(&vcpu->flushed, moment.tick);
	else
		atomic_store(&vcpu->todo, 0);
	return value;
}

static uint64_t *frame(uint64_t pfn)
{
	return memory_ptr(&machine.vm.mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);
}

static void clear_one(void)
{
	uint64_t paused = atomic_load(&machine.vm.pause.paused);

	if (one_is_busy && paused && paused != ALL_VCPUS) {
		one_is_busy = false;
		common->cleared++;
	}
}

static int play_kvm(int fd, unsigned long request, void *arg)
{
	(void)fd, (void)arg;
	if (request == KVM_SET_SREGS && no_flush) {
		errno = EIO;
		return -1;
	}
	return request == KVM_SET_SREGS || request == KVM_GET_SREGS ||
			       request == KVM_SET_USER_MEMORY_REGION
		       ? 0
		       : FAKE_PASS;
}

static void set_up_with(enum flush_proof proof)
{
	opt = (struct options){
		.flush = ALIAS_FLUSH_TRAP, .track = TRACK_SCAN, .flush_proof = proof};
	fake_kvm = play_kvm;
	no_flush = false;
	one_is_busy = false;
	moment.after = NULL;
	machine = (struct machine){.opt = &opt, .stop.status = -1};
	machine.vm = (struct vm){.nr_vcpus = NR, .vcpus = vcpus, .stop = &machine.stop};
	machine.stop.fd = eventfd(0, 0);
	vcpu_pause_init(&machine.vm.pause);
	flush_clock_init(&machine.vm.flush_clock);
	for (unsigned i = 0; i < NR; i++)
		vcpus[i] = (struct vcpu){.index = i, .vm = &machine.vm, .run = &runs[i]};
	ck_assert_int_eq(memory_init(&machine.vm.mem, BYTES), 0);
	pin = pin_create(&machine);
	ck_assert_ptr_nonnull(pin);
	around_sync = clear_one;
	common = common_page(&machine);
	for (unsigned i = 0; i < 3; i++)
		frame(ROOT + i)[0] = W(ROOT + i + 1);
	for (unsigned level = 1; level <= 4; level++)
		ck_assert_int_eq(at_pin(pin->at, ROOT + 4 - level, level), AT_OK);
}

static void set_up(void)
{
	set_up_with(PROOF_GUEST);
}

static void tear_down(void)
{
	around_sync = NULL;
	pin_free(pin);
	memory_free(&machine.vm.mem);
	vcpu_pause_destroy(&machine.vm.pause);
	close(machine.stop.fd);
}

static void map(unsigned pfn)
{
	frame(L1)[pfn - DATA] = W(pfn);
}

/* Mapped, seen, and gone; no flush by the guest. */
static void leave_stale(unsigned pfn)
{
	map(pfn);
	sync_tables(pin);
	common->cleared++;
	frame(L1)[pfn - DATA] = 0;
	sync_tables(pin);
}

static enum at_verdict flush_for(unsigned pfn)
{
	host_flush(pin, &vcpus[0], false, pfn, (struct at_transition){.to = AT_TO_TABLE});
	return at_check(pin->at, pfn, 1);
}

/* vCPU i is on its way into the guest. */
static void enter(unsigned i)
{
	if (atomic_exchange(&vcpus[i].todo, 0))
		ck_assert(vcpu_flush_tlb(&vcpus[i]));
}

static unsigned asked(void)
{
	unsigned who = 0;

	for (unsigned i = 0; i < NR; i++)
		who |= (atomic_load(&vcpus[i].todo) == VCPU_FLUSH_TLB) << i;
	return who;
}

START_TEST(newer_or_not)
{
	struct flush_clock clock;
	struct flush_stamp stamp = {0};
	uint64_t gone;

	flush_clock_init(&clock);
	gone = flush_clock_now(&clock);
	ck_assert(flush_is_due(flush_stamp_get(&stamp), gone)); /* never flushed */
	flush_stamp_set(&stamp, flush_clock_tick(&clock));
	ck_assert(!flush_is_due(flush_stamp_get(&stamp), gone));
	gone = flush_clock_now(&clock); /* in the same tick as the flush, and after it */
	ck_assert(flush_is_due(flush_stamp_get(&stamp), gone));
	flush_clock_tick(&clock); /* somebody else's */
	ck_assert(flush_is_due(flush_stamp_get(&stamp), gone));
	ck_assert(!flush_is_due(flush_clock_now(&clock), gone));
}
END_TEST

START_TEST(all_are_asked_once)
{
	leave_stale(DATA);
	ck_assert_int_eq(at_check(pin->at, DATA, 1), AT_STALE_TLB);
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	ck_assert_uint_eq(asked(), 15);
	ck_assert_int_eq(pin_figure(pin, "pins.vcpus_flushed"), NR);
	/* They have yet to do it: what goes meanwhile is covered by it. */
	leave_stale(DATA + 1);
	ck_assert_int_eq(at_check(pin->at, DATA + 1, 1), AT_STALE_TLB);
	ck_assert_int_eq(flush_for(DATA + 1), AT_OK);
	ck_assert_int_eq(pin_figure(pin, "pins.host_flushes"), 1);
	ck_assert_int_eq(pin_figure(pin, "pins.vcpus_flushed"), NR);
	ck_assert_int_eq(pin_figure(pin, "pins.vcpus_spared"), NR);
	ck_assert_int_eq(pin_figure(pin, "pins.kicks"), 0);
}
END_TEST

START_TEST(the_newer_ones_are_spared)
{
	leave_stale(DATA);
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	enter(0);
	enter(1);
	leave_stale(DATA + 1); /* while 2 and 3 are out */
	enter(2);
	ck_assert_int_eq(flush_for(DATA + 1), AT_OK);
	ck_assert_uint_eq(asked(), 1 | 2 | 8); /* 3 had been asked before */
	ck_assert_int_eq(pin_figure(pin, "pins.vcpus_flushed"), NR + 2);
	ck_assert_int_eq(pin_figure(pin, "pins.vcpus_spared"), 2);
	for (unsigned i = 0; i < NR; i++)
		enter(i);
	ck_assert_uint_eq(vcpus[2].stats.tlb_flushes, 1);
	/* All were flushed after that: no vCPU is paused. */
	leave_stale(DATA + 2);
	for (unsigned i = 0; i < NR; i++)
		ck_assert(vcpu_flush_tlb(&vcpus[i]));
	ck_assert_int_eq(flush_for(DATA + 2), AT_OK);
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* One that was spared makes trouble while the host syncs once more: it is asked after all. */
START_TEST(spared_too_early)
{
	leave_stale(DATA);
	ck_assert(vcpu_flush_tlb(&vcpus[3]));
	one_is_busy = true;
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	ck_assert(!one_is_busy);
	ck_assert_uint_eq(asked(), 15);
	ck_assert_int_eq(pin_figure(pin, "pins.host_flushes"), 1);
	/* And if it makes none, it is not. */
	for (unsigned i = 0; i < NR; i++)
		enter(i);
	leave_stale(DATA);
	ck_assert(vcpu_flush_tlb(&vcpus[3]));
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	ck_assert_uint_eq(asked(), 7);
}
END_TEST

/* One that was spared, as it would flush, begins with that while the others are being asked: it has
 * no stamp yet, and is as good as flushed all the same. */
START_TEST(spared_and_flushing)
{
	leave_stale(DATA);
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	for (unsigned i = 1; i < NR; i++)
		enter(i);
	leave_stale(DATA + 1);
	moment.after = &vcpus[NR - 1].flushed;
	moment.paused = true;
	moment.vcpu = 0;
	moment.tick = 0;
	ck_assert_int_eq(flush_for(DATA + 1), AT_OK);
	ck_assert_ptr_null(moment.after);
	ck_assert_uint_eq(asked(), 14);
}
END_TEST

/* One is in the middle of a flush at first, and has a stamp when it is asked which
 * vCPUs are due: none. */
START_TEST(flushed_meanwhile)
{
	leave_stale(DATA);
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	atomic_store(&vcpus[1].todo, 0);
	leave_stale(DATA + 1);
	moment.after = &vcpus[1].flushed;
	moment.paused = false;
	moment.vcpu = 1;
	moment.tick = flush_clock_tick(&machine.vm.flush_clock);
	ck_assert_int_eq(flush_for(DATA + 1), AT_OK);
	ck_assert_ptr_null(moment.after);
	ck_assert_int_eq(pin_figure(pin, "pins.host_flushes"), 1);
}
END_TEST

/* A flush that failed is none, and ends the machine elsewhere. */
START_TEST(no_stamp_without_a_flush)
{
	leave_stale(DATA);
	no_flush = true;
	ck_assert(!vcpu_flush_tlb(&vcpus[1]));
	no_flush = false;
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	ck_assert_uint_eq(asked(), 15);
}
END_TEST

/* The guest's flush came through before the host's: no vCPU is paused. */
START_TEST(the_guest_was_faster)
{
	leave_stale(DATA);
	common->flushed = common->cleared;
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	ck_assert_uint_eq(asked(), 0);
	ck_assert_int_eq(pin_figure(pin, "pins.host_flushes"), 0);
}
END_TEST

/* XSA-241, XSA-401: what came and went between two syncs. */
START_TEST(what_went_unseen)
{
	sync_tables(pin);
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	ck_assert_uint_eq(asked(), 0);
	common->cleared++; /* mapped, used, and cleared again */
	sync_tables(pin);
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	ck_assert_uint_eq(asked(), 15);
	for (unsigned i = 0; i < NR; i++)
		enter(i);
	sync_tables(pin);
	ck_assert_int_eq(flush_for(DATA), AT_OK);
	ck_assert_uint_eq(asked(), 0);
}
END_TEST

/* Where the guest's word doesn't count, it may have happened before every sync. */
START_TEST(without_its_word)
{
	tear_down();
	set_up_with(PROOF_HOST);
	for (unsigned round = 1; round <= 3; round++) {
		sync_tables(pin);
		ck_assert_int_eq(flush_for(DATA), AT_OK);
		ck_assert_uint_eq(asked(), 15);
		ck_assert_int_eq(pin_figure(pin, "pins.vcpus_flushed"), round * NR);
		for (unsigned i = 0; i < NR; i++)
			enter(i);
		ck_assert_int_eq(flush_for(DATA), AT_OK);
		ck_assert_uint_eq(asked(), 0);
	}
}
END_TEST

TCase *flush_tests(void)
{
	TCase *tc = tcase_create("flush");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, newer_or_not);
	tcase_add_test(tc, all_are_asked_once);
	tcase_add_test(tc, the_newer_ones_are_spared);
	tcase_add_test(tc, spared_too_early);
	tcase_add_test(tc, spared_and_flushing);
	tcase_add_test(tc, flushed_meanwhile);
	tcase_add_test(tc, no_stamp_without_a_flush);
	tcase_add_test(tc, the_guest_was_faster);
	tcase_add_test(tc, what_went_unseen);
	tcase_add_test(tc, without_its_word);
	return tc;
}

/* SPDX-License-Identifier: MIT */
/* The rings of the guest's log: what is handed out, and what garbage can do. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "pin/guest_log.h"
#include "suites.h"

#define NR 3

static struct alias_log logs[NR];
static struct alias_log_record records[NR][ALIAS_LOG_RECORDS];
static struct log_ring rings[NR];
static struct guest_log guest_log;
static struct at_log_state log_state;
static uint64_t ran[NR]; /* by each vCPU */

static uint64_t ran_ms(void *ctx, unsigned vcpu)
{
	ck_assert_ptr_eq(ctx, ran);
	ck_assert_uint_lt(vcpu, NR);
	return ran[vcpu];
}

static void set_up(void)
{
	memset(logs, 0, sizeof(logs));
	memset(records, 0, sizeof(records));
	memset(rings, 0, sizeof(rings));
	for (unsigned i = 0; i < NR; i++) {
		rings[i].log = &logs[i];
		rings[i].records = records[i];
	}
	guest_log = (struct guest_log){.nr = NR, .ring = rings, .ran_ms = ran_ms, .ctx = ran};
	guest_log_start(&guest_log);
	for (unsigned i = 0; i < NR; i++)
		ran[i] = 1000;
}

/* What the guest does. */
static bool append(unsigned i, uint64_t entry)
{
	struct alias_log *log = &logs[i];
	struct alias_log_record *record = &records[i][log->head % ALIAS_LOG_RECORDS];

	if (log->head - __atomic_load_n(&log->tail, __ATOMIC_ACQUIRE) >= ALIAS_LOG_RECORDS) {
		__atomic_store_n(&log->lost, log->lost + 1, __ATOMIC_RELEASE);
		return false;
	}
	__atomic_store_n(&record->pte_gpa, entry, __ATOMIC_RELAXED);
	__atomic_store_n(&record->from, entry + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&record->to, entry + 2, __ATOMIC_RELAXED);
	__atomic_store_n(&log->head, log->head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Takes all there is; how many. */
static size_t take(void)
{
	struct at_record taken[7];
	size_t n, sum = 0;

	while ((n = guest_log_next(&guest_log, taken, 7)))
		sum += n;
	return sum;
}

static void begin(bool lost, size_t nr_changing)
{
	guest_log_begin(&guest_log, &log_state);
	ck_assert(log_state.lost == lost);
	ck_assert_uint_eq(log_state.nr_changing, nr_changing);
}

/* One fault is there, this one; then none is. */
static void expect_fault(unsigned vcpu, enum log_fault fault)
{
	enum log_fault found;
	unsigned whose;

	ck_assert(guest_log_next_fault(&guest_log, &whose, &found));
	ck_assert_uint_eq(whose, vcpu);
	ck_assert_int_eq(found, fault);
	ck_assert(!guest_log_next_fault(&guest_log, &whose, &found));
}

static void expect_no_fault(void)
{
	enum log_fault found;
	unsigned whose;

	ck_assert(!guest_log_next_fault(&guest_log, &whose, &found));
}

static size_t nr_pending(void)
{
	uint64_t entries[AT_PENDING_MAX];
	size_t nr;

	ck_assert(guest_log_pending(&guest_log, entries, &nr));
	return nr;
}

START_TEST(records_come_in_order)
{
	struct at_record taken[4];

	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 0; i < NR; i++)
			ck_assert(append(i, 1000 * i + 8 * k));
	begin(false, 0);
	ck_assert(append(1, 8888)); /* too late for this sync */
	for (unsigned i = 0; i < NR; i++) {
		ck_assert_uint_eq(guest_log_next(&guest_log, taken, 2), 2);
		ck_assert_uint_eq(taken[0].pte_gpa, 1000 * i);
		ck_assert_uint_eq(taken[1].pte_gpa, 1000 * i + 8);
		ck_assert_uint_eq(taken[1].from, 1000 * i + 9);
		ck_assert_uint_eq(taken[1].to, 1000 * i + 10);
		ck_assert_uint_eq(guest_log_next(&guest_log, taken, 4), 1);
		ck_assert_uint_eq(taken[0].pte_gpa, 1000 * i + 16);
	}
	ck_assert_uint_eq(guest_log_next(&guest_log, taken, 4), 0);
	ck_assert_uint_eq(logs[1].tail, 3);
	begin(false, 0);
	ck_assert_uint_eq(take(), 1);
	begin(false, 0);
	ck_assert_uint_eq(take(), 0);
}
END_TEST

/* More records are written beside each sync than can be looked through: after a few of these the
 * next is to be made in quiet. */
START_TEST(put_off_again_and_again)
{
	uint64_t entries[AT_PENDING_MAX];
	size_t nr;

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 4; i++) {
			ck_assert(!guest_log_needs_pause(&guest_log));
			begin(false, 0);
			take();
			for (unsigned n = 0; n <= AT_PENDING_MAX; n++)
				append(1, 8);
			ck_assert(!guest_log_pending(&guest_log, entries, &nr));
		}
		ck_assert(guest_log_needs_pause(&guest_log));
		begin(false, 0);
		take();
		ck_assert(guest_log_pending(&guest_log, entries, &nr));
	}
	ck_assert(!guest_log_needs_pause(&guest_log));
}
END_TEST

static const uint64_t moves[] = {1, AT_PENDING_MAX + 1, ALIAS_LOG_RECORDS, 2 * ALIAS_LOG_RECORDS,
				 UINT64_MAX};

/* By a disk, and back again before the next sync. It excuses nothing, and is told. */
START_TEST(moved_while_no_vcpu_runs)
{
	guest_log.quiet = true;
	for (unsigned round = 0; round < 8; round++) {
		append(1, 8);
		logs[0].changing = 16; /* that vCPU stopped amid a change */
		begin(false, 1);
		take();
		ck_assert_uint_eq(nr_pending(), 1);
		expect_no_fault();

		begin(false, 1);
		take();
		logs[1].head += moves[_i];
		ck_assert_uint_eq(nr_pending(), 1);
		logs[1].head -= moves[_i];
		expect_fault(1, LOG_MOVED);
		ck_assert(!guest_log_needs_pause(&guest_log));
	}
	begin(false, 1);
	logs[2].lost++;
	ck_assert_uint_eq(nr_pending(), 1);
	expect_fault(2, LOG_MOVED);
}
END_TEST

START_TEST(what_is_pending)
{
	uint64_t entries[AT_PENDING_MAX];
	size_t nr;

	append(0, 8);
	begin(false, 0);
	take();
	logs[2].changing = 24;
	append(0, 16);
	ck_assert(guest_log_pending(&guest_log, entries, &nr));
	ck_assert_uint_eq(nr, 2);
	ck_assert_uint_eq(entries[0], 24);
	ck_assert_uint_eq(entries[1], 16);
	begin(false, 1);
	ck_assert_uint_eq(log_state.changing[0], 24);
	take();
	ck_assert(guest_log_pending(&guest_log, entries, &nr));
	ck_assert_uint_eq(nr, 1);
	for (unsigned i = 0; i < AT_PENDING_MAX - 1; i++)
		append(1, 8);
	ck_assert(guest_log_pending(&guest_log, entries, &nr));
	append(1, 8);
	ck_assert(!guest_log_pending(&guest_log, entries, &nr));
}
END_TEST

START_TEST(a_full_ring)
{
	uint64_t entries[AT_PENDING_MAX];
	size_t nr;

	for (unsigned i = 0; i < ALIAS_LOG_RECORDS; i++)
		ck_assert(append(2, 8 * i));
	begin(false, 0);
	ck_assert(!append(2, 0));
	ck_assert_uint_eq(take(), ALIAS_LOG_RECORDS);
	ck_assert(!guest_log_pending(&guest_log, entries, &nr)); /* lost in the meantime */
	ck_assert(append(2, 0));
	begin(true, 0);
	ck_assert_uint_eq(take(), 1);
	begin(false, 0);
	expect_no_fault();
}
END_TEST

/* A vCPU finds no room, is held up for some syncs, and then counts what it lost. */
START_TEST(a_loss_counted_late)
{
	for (unsigned i = 0; i < ALIAS_LOG_RECORDS; i++)
		append(1, 8);
	logs[1].changing = 8;
	for (unsigned i = 0; i < 3; i++) {
		begin(false, 1);
		take();
	}
	logs[1].lost++;
	logs[1].changing = 0;
	begin(true, 0);
	expect_no_fault();
	begin(false, 0);
	logs[1].lost++; /* this one knew that there is room */
	begin(false, 0);
	ck_assert(log_state.audit);
	expect_fault(1, LOG_FALSE_LOSS);
}
END_TEST

START_TEST(a_loss_with_room)
{
	for (unsigned i = 0; i < ALIAS_LOG_RECORDS - 1; i++)
		append(1, 8);
	logs[1].lost = 3;
	begin(false, 0);
	ck_assert(log_state.audit);
	expect_fault(1, LOG_FALSE_LOSS);
	ck_assert_uint_eq(take(), ALIAS_LOG_RECORDS - 1);
	begin(false, 0);
	ck_assert(!log_state.audit);
	expect_no_fault();
}
END_TEST

/* A ring that was never more than half full, although two syncs together have filled it. */
START_TEST(a_loss_with_room_in_two_syncs)
{
	for (unsigned sync = 0; sync < 2; sync++) {
		for (unsigned i = 0; i < ALIAS_LOG_RECORDS / 2 + 1; i++)
			ck_assert(append(1, 8));
		logs[1].lost += sync;
		begin(false, 0);
		take();
	}
	expect_fault(1, LOG_FALSE_LOSS);
}
END_TEST

/* Many records under one name are many changes: the vCPU has seen that its ring is read. */
START_TEST(a_loss_under_an_old_name)
{
	logs[1].changing = 8;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < 4000; k++)
			ck_assert(append(1, 8));
		begin(false, 1);
		ck_assert_uint_eq(take(), 4000);
	}
	logs[1].lost++;
	begin(false, 1);
	ck_assert(log_state.audit);
	expect_fault(1, LOG_FALSE_LOSS);
}
END_TEST

/* A vCPU finds no room by a `tail` that is stored while a sync still reads records. */
START_TEST(a_loss_beside_a_sync)
{
	struct at_record taken[64];

	for (unsigned i = 0; i < ALIAS_LOG_RECORDS; i++)
		ck_assert(append(1, 8));
	begin(false, 0);
	ck_assert_uint_eq(guest_log_next(&guest_log, taken, 64), 64);
	while (logs[1].head - logs[1].tail < ALIAS_LOG_RECORDS)
		ck_assert(append(1, 16));
	logs[1].changing = 24; /* there is none; held up before it counts that */
	take();
	begin(false, 1);
	take();
	logs[1].lost++;
	logs[1].changing = 0;
	begin(true, 0);
	expect_no_fault();
}
END_TEST

/* A sync that is stopped gives room for what it has read when the next one begins. */
START_TEST(a_sync_that_is_stopped)
{
	struct at_record taken[64];

	for (unsigned i = 0; i < ALIAS_LOG_RECORDS; i++)
		ck_assert(append(1, 8));
	begin(false, 0);
	ck_assert_uint_eq(guest_log_next(&guest_log, taken, 64), 64);
	begin(false, 0);
	ck_assert_uint_eq(logs[1].tail, 64);
	ck_assert_uint_eq(take(), ALIAS_LOG_RECORDS - 64);
	ck_assert_uint_eq(logs[1].tail, ALIAS_LOG_RECORDS);
}
END_TEST

/* Losses under a name that is kept: one change counts one. */
START_TEST(losses_under_an_old_name)
{
	for (unsigned i = 0; i < ALIAS_LOG_RECORDS; i++)
		append(1, 8);
	logs[1].changing = 8;
	begin(false, 1);
	take();
	logs[1].lost++;
	begin(true, 1);
	logs[1].lost++; /* by a change that began after the sync before the last */
	begin(true, 1);
	logs[1].lost++;
	begin(false, 1);
	expect_fault(1, LOG_FALSE_LOSS);
}
END_TEST

START_TEST(started_anew)
{
	append(0, 8);
	logs[1].lost = 77;
	guest_log_start(&guest_log);
	begin(false, 0);
	ck_assert_uint_eq(take(), 0);
	ck_assert_uint_eq(logs[0].tail, 1);
	expect_no_fault();
}
END_TEST

/* The ring was full when the log began, and the guest goes on before it sees that it is empty. */
START_TEST(started_full)
{
	for (unsigned i = 0; i < ALIAS_LOG_RECORDS; i++)
		append(0, 8);
	guest_log_start(&guest_log);
	logs[0].lost++;
	begin(true, 0);
	expect_no_fault();
}
END_TEST

START_TEST(stopped)
{
	guest_log_stopped(&guest_log);
	expect_fault(0, LOG_STOPPED);
}
END_TEST

/* A vCPU that makes a call has finished; one that names another entry after it has not. */
START_TEST(named_at_a_call)
{
	logs[1].changing = 24;
	ck_assert_uint_eq(nr_pending(), 1);
	guest_log_called(&guest_log, 1);
	begin(false, 1); /* still to be read */
	ck_assert_uint_eq(nr_pending(), 0);
	logs[1].changing = 32;
	ck_assert_uint_eq(nr_pending(), 1);
	logs[1].changing = 0;
	guest_log_called(&guest_log, 1);
	logs[1].changing = 24;
	ck_assert_uint_eq(nr_pending(), 1);
}
END_TEST

static unsigned syncs_until_stuck(unsigned ms)
{
	unsigned syncs = 0;

	while (nr_pending() && syncs < 1000) {
		syncs++;
		ran[2] += ms;
	}
	return syncs;
}

/* While its vCPU runs; but not by what one sync alone says. Told once. */
START_TEST(named_for_ever)
{
	logs[2].changing = 24;
	ck_assert_uint_eq(syncs_until_stuck(10), 100);
	expect_fault(2, LOG_NAME_KEPT);
	ck_assert_uint_eq(syncs_until_stuck(10), 0);
	expect_no_fault();
	logs[2].changing = 32;
	ck_assert_uint_eq(syncs_until_stuck(1000000), 4);
	expect_fault(2, LOG_NAME_KEPT);
}
END_TEST

/* By somebody who can't help it, since only others run. */
START_TEST(named_while_it_does_not_run)
{
	logs[0].changing = 24;
	ck_assert_uint_eq(syncs_until_stuck(90), 1000);
	logs[2].changing = 32;
	ck_assert_uint_eq(syncs_until_stuck(0), 1000);
	expect_no_fault();
}
END_TEST

/* Two names in turn hide two entries; but the first change left no record. */
START_TEST(named_in_turn)
{
	unsigned syncs = 0;

	do {
		logs[2].changing = syncs % 2 ? 24 : 32;
		ran[2] += 100;
	} while (nr_pending() && syncs++ < 1000);
	ck_assert_uint_eq(syncs, 11);
	expect_fault(2, LOG_NAME_KEPT);
}
END_TEST

/* Syncs for which so many vCPUs are at it, while two swap their names; one runs half as much. */
static unsigned syncs_swapping(size_t nr)
{
	unsigned syncs = 0;

	do {
		uint64_t was = logs[1].changing;

		logs[1].changing = logs[2].changing;
		logs[2].changing = was;
		ran[1] += 100;
		ran[2] += 50;
	} while (nr_pending() == nr && syncs++ < 1000);
	return syncs;
}

/* Each of them is told of when it has run for a second itself. */
START_TEST(named_in_turn_by_two)
{
	logs[1].changing = 24;
	logs[2].changing = 32;
	ck_assert_uint_eq(syncs_swapping(2), 11);
	expect_fault(1, LOG_NAME_KEPT);
	ck_assert_uint_eq(syncs_swapping(1), 9);
	expect_fault(2, LOG_NAME_KEPT);
}
END_TEST

/* Between two syncs it was at no change. */
START_TEST(named_now_and_then)
{
	for (unsigned i = 0; i < 100; i++) {
		logs[2].changing = i % 2 ? 24 : 0;
		ck_assert_uint_eq(nr_pending(), i % 2);
		ran[2] += 100;
	}
	expect_no_fault();
}
END_TEST

/* The same entry again and again: each change is another one. */
START_TEST(named_anew)
{
	logs[2].changing = 24;
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(nr_pending(), 1);
		ran[2] += 90;
		append(2, 24);
		begin(false, 1);
		take();
	}
	ck_assert_uint_eq(syncs_until_stuck(50), 20);
}
END_TEST

/* A head that can't be: nothing is taken for true, and it is noticed. */
START_TEST(heads_that_lie)
{
	static const uint64_t heads[] = {ALIAS_LOG_RECORDS + 11, UINT64_MAX, UINT64_MAX / 2, 9};
	uint64_t entries[AT_PENDING_MAX];
	size_t nr;

	for (unsigned i = 0; i < 10; i++)
		append(0, 8);
	begin(false, 0);
	ck_assert_uint_eq(take(), 10);
	logs[0].head = heads[_i];
	if (heads[_i] - 10 > AT_PENDING_MAX)
		ck_assert(!guest_log_pending(&guest_log, entries, &nr));
	logs[0].lost++;
	begin(false, 0);
	ck_assert(log_state.audit);
	expect_fault(0, LOG_OVERRUN);
	ck_assert_uint_eq(take(), 0);
	ck_assert_uint_eq(logs[0].tail, heads[_i]);
	begin(false, 0);
	expect_no_fault();
	logs[0].lost++; /* a jump of the head leaves no room for a wrong record after it */
	begin(false, 0);
	expect_fault(0, LOG_FALSE_LOSS);
}
END_TEST

/* Whatever is there, a sync ends, hands out no more than a ring holds, and stays in the rings. */
START_TEST(noise)
{
	uint64_t *words = (uint64_t *)logs, state = 88172645463325252;

	for (unsigned round = 0; round < 3000; round++) {
		uint64_t entries[AT_PENDING_MAX];
		size_t nr;

		for (unsigned i = 0; i < sizeof(logs) / 8; i++) {
			state ^= state << 13, state ^= state >> 7, state ^= state << 17;
			words[i] = state >> state % 64;
		}
		guest_log_begin(&guest_log, &log_state);
		ck_assert_uint_le(log_state.nr_changing, NR);
		ck_assert_uint_le(take(), NR * ALIAS_LOG_RECORDS);
		guest_log_pending(&guest_log, entries, &nr);
		ck_assert_uint_le(nr, AT_PENDING_MAX);
	}
}
END_TEST

/* A vCPU that logs while it is read: nothing comes twice, out of order, torn, or not at all. */

static atomic_bool done;

static void *log_much(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < 2000000; i++) {
		__atomic_store_n(&logs[1].changing, 8 * i, __ATOMIC_SEQ_CST);
		append(1, 8 * i);
		__atomic_store_n(&logs[1].changing, 0, __ATOMIC_RELEASE);
	}
	atomic_store(&done, true);
	return NULL;
}

START_TEST(beside_a_writer)
{
	uint64_t next = 0, gaps = 0;
	enum log_fault fault;
	bool last = false;
	pthread_t writer;
	unsigned vcpu;

	atomic_store(&done, false);
	ck_assert_int_eq(pthread_create(&writer, NULL, log_much, NULL), 0);
	while (!last) {
		struct at_record taken[64];
		size_t n;

		last = atomic_load(&done);
		guest_log_begin(&guest_log, &log_state);
		gaps += log_state.lost;
		if (guest_log_next_fault(&guest_log, &vcpu, &fault))
			ck_abort_msg("an honest log: %s", log_fault_name(fault));
		while ((n = guest_log_next(&guest_log, taken, 64))) {
			for (size_t i = 0; i < n; i++) {
				if (taken[i].pte_gpa < next || taken[i].pte_gpa % 8 ||
				    taken[i].from != taken[i].pte_gpa + 1 ||
				    taken[i].to != taken[i].pte_gpa + 2)
					ck_abort_msg("record %llu after %llu",
						     (unsigned long long)taken[i].pte_gpa / 8,
						     (unsigned long long)next / 8);
				next = taken[i].pte_gpa + 8;
			}
		}
	}
	pthread_join(writer, NULL);
	ck_assert_uint_eq(logs[1].head + logs[1].lost, 2000000);
	ck_assert_uint_eq(logs[1].tail, logs[1].head);
	ck_assert(gaps > 0 || logs[1].lost == 0);
}
END_TEST

TCase *guest_log_tests(void)
{
	TCase *tc = tcase_create("guest_log");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, records_come_in_order);
	tcase_add_test(tc, put_off_again_and_again);
	tcase_add_loop_test(tc, moved_while_no_vcpu_runs, 0, sizeof(moves) / sizeof(moves[0]));
	tcase_add_test(tc, what_is_pending);
	tcase_add_test(tc, a_full_ring);
	tcase_add_test(tc, a_loss_counted_late);
	tcase_add_test(tc, a_loss_with_room);
	tcase_add_test(tc, a_loss_under_an_old_name);
	tcase_add_test(tc, a_loss_with_room_in_two_syncs);
	tcase_add_test(tc, a_loss_beside_a_sync);
	tcase_add_test(tc, a_sync_that_is_stopped);
	tcase_add_test(tc, losses_under_an_old_name);
	tcase_add_test(tc, started_anew);
	tcase_add_test(tc, started_full);
	tcase_add_test(tc, stopped);
	tcase_add_test(tc, named_at_a_call);
	tcase_add_test(tc, named_for_ever);
	tcase_add_test(tc, named_while_it_does_not_run);
	tcase_add_test(tc, named_in_turn);
	tcase_add_test(tc, named_in_turn_by_two);
	tcase_add_test(tc, named_now_and_then);
	tcase_add_test(tc, named_anew);
	tcase_add_loop_test(tc, heads_that_lie, 0, 4);
	tcase_add_test(tc, noise);
	tcase_add_test(tc, beside_a_writer);
	return tc;
}

/* SPDX-License-Identifier: MIT */
/* AT_LOGGED: what a sync learns of the log, what an audit finds out about it, and which mismatches
 * it reports.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define DATA   2000ull
#define AUDIT  8

static struct world w;
static uint64_t l1, l2; /* those that map VMALLOC */

static void setup(void)
{
	world_init(&w, FRAMES);
	w.config.mode = AT_LOGGED;
	w.config.audit_syncs = AUDIT;
	w.config.quiet_syncs = 4;
	world_start(&w);
	l1 = world_map(&w, ROOT, VMALLOC, 1, R(DATA));
	l2 = world_table(&w, ROOT, VMALLOC, 2);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	w.logging = true;
	world_sync(&w);
}

static void teardown(void)
{
	world_close(&w);
}

static void expect_lie(enum at_violation_kind kind, uint64_t pfn, unsigned index)
{
	struct at_violation v;

	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_int_eq(v.kind, kind);
	ck_assert_uint_eq(v.pfn, pfn);
	ck_assert_uint_eq(v.pte_gpa, FRAME(l1) + index * 8);
	ck_assert_uint_eq(v.va, VMALLOC + index * 4096);
	ck_assert_uint_eq(v.level, 1);
	ck_assert_uint_eq(world_stats(&w).log_mismatches, world_stats(&w).violations);
}

static void expect_no_lie(void)
{
	for (unsigned i = 0; i < 2 * AUDIT; i++)
		world_sync(&w);
	ck_assert(at_audit(w.at));
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
}

START_TEST(records_say_where_to_look)
{
	uint64_t compared = world_stats(&w).tables_compared;

	world_set(&w, l1, 3, W(DATA));
	ck_assert(!at_has_alias(w.at, DATA));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA));
	world_set(&w, l1, 3, 0);
	world_sync(&w);
	ck_assert(!at_has_alias(w.at, DATA));
	ck_assert_uint_eq(world_stats(&w).tables_compared, compared);
	ck_assert_uint_eq(world_stats(&w).records, 2);
	expect_no_lie();
}
END_TEST

/* Nothing is looked at while nothing happens, but in an audit, and not even there when all is cold.
 */
START_TEST(quiet_syncs_look_at_nothing)
{
	expect_no_lie();
	uint64_t calls = w.table_calls, compared = world_stats(&w).tables_compared;
	uint64_t audits = world_stats(&w).audits;

	for (unsigned i = 0; i < 4 * AUDIT; i++)
		world_sync(&w);
	ck_assert_uint_eq(w.table_calls, calls);
	ck_assert_uint_eq(world_stats(&w).tables_compared, compared);
	ck_assert_uint_eq(world_stats(&w).audits, audits + 4);
}
END_TEST

START_TEST(linked_tables_are_followed)
{
	uint64_t table = w.next_table++;

	ck_assert_int_eq(at_pin(w.at, table, 1), AT_OK);
	world_set(&w, table, 9, W(DATA)); /* before it is reachable */
	world_set(&w, l2, 7, W(table));
	world_set(&w, table, 10, W(DATA));
	world_sync(&w);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 2);
	ck_assert_uint_eq(world_stats(&w).stray_records, 1);
	world_set(&w, l2, 7, 0);
	world_set(&w, table, 10, 0); /* nobody's by now */
	world_sync(&w);
	ck_assert(!at_has_alias(w.at, DATA));
	world_set(&w, l2, 7, W(table));
	expect_no_lie();
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
}
END_TEST

/* However many changes, on whichever processors, in whatever order the rings are taken. */
START_TEST(records_form_a_chain)
{
	static const unsigned order[] = {3, 0, 2, 2, 1, 0, 3, 1};

	for (unsigned i = 0; i < 8; i++) {
		w.cpu = order[i];
		world_set(&w, l1, 5, i % 2 ? 0 : W(DATA + i));
	}
	world_sync(&w);
	world_set(&w, l1, 5, W(DATA) | E_A); /* the processor's own bits are nobody's */
	world_store(&w, l1, 5, W(DATA) | E_A | E_D);
	world_set(&w, l1, 5, R(DATA) | E_D);
	expect_no_lie();
}
END_TEST

START_TEST(unlogged_change)
{
	world_store(&w, l1, 3, W(DATA));
	for (unsigned i = 0; i < AUDIT - 1; i++)
		world_sync(&w);
	ck_assert(!at_has_alias(w.at, DATA)); /* so far it got away with it */
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA));
	expect_lie(AT_V_UNLOGGED, DATA, 3);
	expect_no_lie(); /* once */
}
END_TEST

START_TEST(unlogged_in_a_cold_table)
{
	expect_no_lie();
	ck_assert_uint_gt(w.nr_armed, 0);
	world_store(&w, l1, 3, W(DATA));
	ck_assert(at_audit(w.at));
	expect_lie(AT_V_UNLOGGED, DATA, 3);
}
END_TEST

START_TEST(unlogged_change_that_was_undone)
{
	world_store(&w, l1, 3, W(DATA));
	world_set(&w, l1, 3, 0); /* a record of what the host never saw */
	world_sync(&w);
	expect_lie(AT_V_MISLOGGED, 0, 3);
}
END_TEST

START_TEST(invented_record)
{
	world_record(&w, 1, l1, 4, 0, W(DATA));
	world_sync(&w);
	ck_assert(!at_has_alias(w.at, DATA));
	expect_lie(AT_V_MISLOGGED, 0, 4);
	expect_no_lie();
}
END_TEST

/* `from`, `to`, and both by the same. */
START_TEST(wrong_values)
{
	static const uint64_t wrong[][2] = {{FRAME(1), 0}, {0, FRAME(1)}, {FRAME(1), FRAME(1)}};

	world_store(&w, l1, 4, W(DATA));
	world_record(&w, 1, l1, 4, wrong[_i][0], W(DATA) + wrong[_i][1]);
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA)); /* what counts is what is there */
	expect_lie(AT_V_MISLOGGED, DATA, 4);
	expect_no_lie();
}
END_TEST

START_TEST(nonsense_in_records)
{
	struct world_log *log = &w.logs[2];

	static const uint64_t gpas[] = {1,         7, FRAME(FRAMES), UINT64_MAX, UINT64_MAX - 7,
					1ull << 63};

	for (unsigned i = 0; i < sizeof(gpas) / sizeof(gpas[0]); i++)
		log->records[log->head++] = (struct at_record){gpas[i], 0, UINT64_MAX};
	log->changing = UINT64_MAX;
	world_sync(&w);
	ck_assert_uint_eq(world_stats(&w).stray_records, sizeof(gpas) / sizeof(gpas[0]));
	expect_no_lie();
}
END_TEST

/* --- on its way ------------------------------------------------------------------------------- */

START_TEST(named_entry_is_read)
{
	world_name(&w, 1, l1, 3);
	world_store(&w, l1, 3, W(DATA));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA));
	expect_no_lie();
	world_record(&w, 1, l1, 3, 0, W(DATA));
	world_sync(&w);
	world_unname(&w, 1);
	expect_no_lie();
}
END_TEST

/* One processor links a table and comes no further; another maps something in it, and is done. */
START_TEST(link_on_its_way)
{
	uint64_t table = w.next_table++;

	ck_assert_int_eq(at_pin(w.at, table, 1), AT_OK);
	world_name(&w, 1, l2, 7);
	world_store(&w, l2, 7, W(table));
	world_set(&w, table, 10, W(DATA));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA));
	expect_no_lie();
	world_record(&w, 1, l2, 7, 0, W(table));
	world_unname(&w, 1);
	expect_no_lie();
}
END_TEST

START_TEST(name_taken_back_without_a_record)
{
	world_name(&w, 1, l1, 3);
	world_store(&w, l1, 3, W(DATA));
	expect_no_lie();
	world_unname(&w, 1);
	world_sync(&w);
	expect_lie(AT_V_UNLOGGED, DATA, 3);
}
END_TEST

/* A table is followed from a moment on at which one of its entries is on its way. */
START_TEST(named_in_a_new_table)
{
	uint64_t table = w.next_table++;

	ck_assert_int_eq(at_pin(w.at, table, 1), AT_OK);
	world_name(&w, 1, table, 3);
	if (_i)
		world_store(&w, table, 3, W(DATA));
	world_set(&w, l2, 7, W(table));
	world_sync(&w);
	world_sync(&w);
	world_store(&w, table, 3, W(DATA));
	world_record(&w, 1, table, 3, 0, W(DATA));
	world_unname(&w, 1);
	expect_no_lie();
	world_store(&w, table, 3, 0);
	ck_assert(at_audit(w.at));
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
}
END_TEST

/* --- too much --------------------------------------------------------------------------------- */

START_TEST(lost_records)
{
	w.log_room = 4;
	for (unsigned i = 0; i < 20; i++)
		world_set(&w, l1, i, W(DATA));
	world_sync(&w);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 20);
	ck_assert_uint_eq(world_stats(&w).log_losses, 1);
	expect_no_lie();
	ck_assert_uint_eq(world_stats(&w).log_losses, 1);
	world_store(&w, l1, 3, 0);
	ck_assert(at_audit(w.at));
	expect_lie(AT_V_UNLOGGED, 0, 3);
}
END_TEST

START_TEST(lost_with_another_on_its_way)
{
	world_name(&w, 2, l1, 100);
	world_store(&w, l1, 100, W(DATA));
	w.log_room = 0;
	world_set(&w, l1, 1, W(DATA));
	world_sync(&w);
	w.log_room = 10;
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 2);
	world_sync(&w);
	world_record(&w, 2, l1, 100, 0, W(DATA));
	world_unname(&w, 2);
	expect_no_lie();
}
END_TEST

/* The owner of the tracker has found out that the log is wrong: all is compared at once. */
START_TEST(audit_that_the_owner_asks_for)
{
	world_store(&w, l1, 3, W(DATA));
	w.audit_once = true;
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA));
	expect_lie(AT_V_UNLOGGED, DATA, 3);
	expect_no_lie();
}
END_TEST

/* A frame that was ballooned is linked as a table, and zeroed by its owner before it comes back.
 */
START_TEST(zeroed_by_the_owner)
{
	uint64_t given = w.next_table++;
	struct at_violation v;

	ck_assert(at_count_all(w.at));
	ck_assert_int_eq(at_become(w.at, given, TO_HOST), AT_OK);
	world_set(&w, given, 1, R(DATA));
	world_set(&w, l2, 7, W(given));
	world_sync(&w);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 1); /* it isn't pinned */
	ck_assert(at_is_mapped(w.at, DATA));
	if (_i % 2)
		world_set(&w, given, 2, R(DATA)); /* not taken yet */
	world_store(&w, given, 1, 0);
	world_store(&w, given, 2, 0);
	if (_i < 2)
		ck_assert_int_eq(at_deflate(w.at, given), AT_OK);
	else
		at_owner_wrote(w.at, given); /* it had no page for it, and it stays ballooned */
	world_sync(&w);
	ck_assert_uint_eq(at_mapping_count(w.at, DATA), 1); /* by l1 */
	expect_no_lie();
	world_store(&w, given, 3, R(DATA));
	ck_assert(at_audit(w.at));
	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_int_eq(v.kind, AT_V_UNLOGGED);
}
END_TEST

START_TEST(shared_with_the_owner)
{
	world_close(&w);
	world_init(&w, FRAMES);
	w.config.mode = AT_LOGGED;
	w.config.shared_pfn = 1000;
	w.config.shared_frames = 2;
	world_start(&w);
	world_map(&w, ROOT, VMALLOC, 1, R(DATA));
	l2 = world_table(&w, ROOT, VMALLOC, 2);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	w.logging = true;
	world_set(&w, l2, 7, W(1001));
	world_set(&w, l2, 8, W(1002));
	world_sync(&w);
	ck_assert(at_audit(w.at));
	ck_assert_uint_eq(world_violations(&w, NULL), 2); /* they aren't pinned */
	world_store(&w, 1001, 3, W(DATA));
	world_name(&w, 1, 1001, 4);
	ck_assert(at_audit(w.at));
	ck_assert(at_has_alias(w.at, DATA));
	world_unname(&w, 1);
	expect_no_lie();
	world_store(&w, 1002, 3, W(DATA));
	ck_assert(at_audit(w.at));
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
}
END_TEST

/* --- changing the mode ------------------------------------------------------------------------ */

START_TEST(other_modes_need_no_log)
{
	w.logging = false;
	ck_assert(at_set_mode(w.at, _i ? AT_SCAN : AT_CHANGES));
	world_set(&w, l1, 3, W(DATA));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA));
	world_set(&w, l1, 4, W(DATA));
	ck_assert(at_set_mode(w.at, AT_LOGGED));
	w.logging = true;
	world_set(&w, l1, 3, 0);
	world_sync(&w);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	expect_no_lie();
	world_store(&w, l1, 3, W(DATA));
	ck_assert(at_audit(w.at));
	expect_lie(AT_V_UNLOGGED, DATA, 3);
}
END_TEST

/* What was logged is judged before it is forgotten. */
START_TEST(mode_left)
{
	world_store(&w, l1, 3, W(DATA));
	ck_assert(at_set_mode(w.at, _i ? AT_LOGGED : AT_CHANGES));
	expect_lie(AT_V_UNLOGGED, DATA, 3);
	ck_assert(at_has_alias(w.at, DATA));
	ck_assert(at_set_mode(w.at, AT_LOGGED));
	expect_no_lie();
}
END_TEST

/* And what an honest guest has logged is not held against it. */
START_TEST(mode_left_with_records_to_take)
{
	world_set(&w, l1, 3, W(DATA));
	world_name(&w, 1, l1, 4);
	world_store(&w, l1, 4, W(DATA));
	ck_assert(at_set_mode(w.at, AT_CHANGES));
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 2);
	world_record(&w, 1, l1, 4, 0, W(DATA));
	world_unname(&w, 1);
	ck_assert(at_set_mode(w.at, AT_LOGGED));
	expect_no_lie();
}
END_TEST

START_TEST(no_log_no_mode)
{
	struct at_ops ops = w.ops;

	ops.log_begin = NULL;
	w.config.ops = &ops;
	ck_assert_ptr_null(at_new(&w.config)); /* half a log */
	ops.log_next = NULL;
	ops.log_pending = NULL;
	ck_assert_ptr_null(at_new(&w.config));
	w.config.mode = AT_CHANGES;
	struct alias_tracker *at = at_new(&w.config);

	ck_assert_ptr_nonnull(at);
	ck_assert(!at_set_mode(at, AT_LOGGED));
	at_free(at);
}
END_TEST

/* --- four processors -------------------------------------------------------------------------- */

#define TABLES  6
#define ENTRIES 12
#define TARGETS 5

/* What a processor is about: the entry that it changes, and how far it has come. */
static struct step {
	unsigned done; /* 0: nothing; 1 named, 2 stored, 3 recorded */
	uint64_t table, from, to;
	unsigned index;
} cpus[WORLD_CPUS];

static uint64_t tables[TABLES], state;

static uint64_t rnd(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % n;
}

static void seed(const char *name)
{
	const char *given = getenv("AT_SEED");

	state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 0x9e3779b97f4a7c15;
	state |= 1;
	printf("%s: AT_SEED=%" PRIu64 "\n", name, state);
	fflush(stdout);
}

static bool is_free(uint64_t table, unsigned index)
{
	for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++)
		if (cpus[cpu].done && cpus[cpu].table == table && cpus[cpu].index == index)
			return false;
	return true;
}

/* Tables come and go; leaves in them do, whether they are linked or not. */
static bool choose(struct step *step)
{
	unsigned t = rnd(TABLES);
	bool link = rnd(10) == 0;

	step->table = link ? l2 : tables[t];
	step->index = link ? 20 + t : rnd(ENTRIES);
	if (!is_free(step->table, step->index))
		return false;
	step->from = world_get(&w, step->table, step->index);
	if (link)
		step->to = step->from ? 0 : W(tables[t]);
	else
		step->to = rnd(3) ? W(DATA + rnd(TARGETS)) : 0;
	return true;
}

static void go_on(unsigned cpu)
{
	struct step *step = &cpus[cpu];

	switch (step->done) {
	case 0:
		if (!choose(step))
			return;
		world_name(&w, cpu, step->table, step->index);
		break;
	case 1:
		world_store(&w, step->table, step->index, step->to);
		break;
	case 2:
		world_record(&w, cpu, step->table, step->index, step->from, step->to);
		break;
	default:
		world_unname(&w, cpu);
		break;
	}
	step->done = (step->done + 1) % 4;
}

static void some_go_on(struct world *world)
{
	(void)world;
	while (rnd(3) == 0)
		go_on(rnd(WORLD_CPUS));
}

static void make_tables(void)
{
	for (unsigned i = 0; i < TABLES; i++) {
		tables[i] = w.next_table++;
		ck_assert_int_eq(at_pin(w.at, tables[i], 1), AT_OK);
	}
	for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++)
		cpus[cpu].done = 0;
}

/* Whatever an honest guest's processors do between any two things that the tracker looks at, there
 * is no log mismatch; and what was there when a sync began is known after it. */
START_TEST(honest_processors_have_no_mismatch)
{
	struct at_alias found;

	seed("log");
	make_tables();
	for (unsigned i = 0; i < 60000; i++) {
		bool busy = rnd(4);

		if (rnd(50) == 0)
			w.log_room = rnd(4) ? WORLD_LOG_ROOM : rnd(8);
		for (unsigned n = rnd(40); n; n--)
			go_on(rnd(WORLD_CPUS));
		w.meanwhile = busy ? some_go_on : NULL;
		ck_assert(rnd(20) ? at_sync(w.at) : at_audit(w.at));
		w.meanwhile = NULL;
		if (world_violations(&w, NULL))
			ck_abort_msg("sync %u: a right log has a mismatch", i);
		for (unsigned t = 0; !busy && t < TARGETS; t++)
			if (at_alias_count(w.at, DATA + t) != at_oracle(w.at, DATA + t, &found, 1))
				ck_abort_msg("sync %u: a change was missed", i);
	}
	ck_assert_uint_gt(world_stats(&w).records, 100000);
	ck_assert_uint_gt(world_stats(&w).log_losses, 100);
	ck_assert_uint_gt(world_stats(&w).audits, 1000);
}
END_TEST

/* A log that is wrong now and then, in one way each time: every mismatch is found by the next
 * audit, and nothing else. */
START_TEST(every_mismatch_is_found)
{
	bool wronged[ENTRIES] = {false}, told[ENTRIES] = {false};
	struct at_violation v;

	seed("wrong");
	for (unsigned i = 0; i < 200000; i++) {
		unsigned index = rnd(ENTRIES);
		uint64_t from = world_get(&w, l1, index), to = rnd(3) ? W(DATA + rnd(5)) : 0;
		bool wrong = !wronged[index] && from != to && rnd(100) == 0;
		uint64_t other = to ^ FRAME(1 + rnd(7));

		wronged[index] |= wrong;
		if (!wrong || rnd(2))
			world_store(&w, l1, index, to);
		if (world_get(&w, l1, index) != to)
			world_record(&w, rnd(WORLD_CPUS), l1, index, from, to); /* invented */
		else if (!wrong || rnd(2))
			world_record(&w, rnd(WORLD_CPUS), l1, index, from, wrong ? other : to);
		if (rnd(10))
			continue;
		ck_assert(at_audit(w.at));
		while (at_next_violation(w.at, &v))
			told[(v.pte_gpa - FRAME(l1)) / 8] = true;
		for (unsigned k = 0; k < ENTRIES; k++) {
			if (wronged[k] != told[k])
				ck_abort_msg("change %u: entry %u: lied %d, told %d", i, k,
					     wronged[k], told[k]);
			wronged[k] = told[k] = false;
		}
	}
	ck_assert_uint_gt(world_stats(&w).log_mismatches, 500);
}
END_TEST

Suite *log_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, records_say_where_to_look);
	tcase_add_test(tcase, quiet_syncs_look_at_nothing);
	tcase_add_test(tcase, linked_tables_are_followed);
	tcase_add_test(tcase, records_form_a_chain);
	tcase_add_test(tcase, unlogged_change);
	tcase_add_test(tcase, unlogged_in_a_cold_table);
	tcase_add_test(tcase, unlogged_change_that_was_undone);
	tcase_add_test(tcase, invented_record);
	tcase_add_loop_test(tcase, wrong_values, 0, 3);
	tcase_add_test(tcase, nonsense_in_records);
	tcase_add_test(tcase, named_entry_is_read);
	tcase_add_test(tcase, link_on_its_way);
	tcase_add_test(tcase, name_taken_back_without_a_record);
	tcase_add_loop_test(tcase, named_in_a_new_table, 0, 2);
	tcase_add_test(tcase, lost_records);
	tcase_add_test(tcase, lost_with_another_on_its_way);
	tcase_add_test(tcase, audit_that_the_owner_asks_for);
	tcase_add_loop_test(tcase, zeroed_by_the_owner, 0, 4);
	tcase_add_test(tcase, shared_with_the_owner);
	tcase_add_loop_test(tcase, other_modes_need_no_log, 0, 2);
	tcase_add_loop_test(tcase, mode_left, 0, 2);
	tcase_add_test(tcase, mode_left_with_records_to_take);
	tcase_add_test(tcase, no_log_no_mode);
	tcase_add_test(tcase, honest_processors_have_no_mismatch);
	tcase_add_test(tcase, every_mismatch_is_found);
	suite_add_tcase(suite, tcase);
	return suite;
}

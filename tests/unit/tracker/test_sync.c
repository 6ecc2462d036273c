/* SPDX-License-Identifier: MIT */
/* What a sync looks at: hot and cold tables. */
#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define DATA   2000ull
#define QUIET  4

static struct world w;
static uint64_t l1; /* the table that maps VMALLOC */

static void start(enum at_mode mode, unsigned quiet_syncs)
{
	world_init(&w, FRAMES);
	w.config.mode = mode;
	w.config.quiet_syncs = quiet_syncs;
	world_start(&w);
	l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
}

static void setup(void)
{
	start(AT_CHANGES, QUIET);
}

static void teardown(void)
{
	world_close(&w);
}

static void sync_n(unsigned n)
{
	while (n--)
		world_sync(&w);
}

/* Tables compared by one more sync. */
static uint64_t compared(void)
{
	uint64_t before = world_stats(&w).tables_compared;

	world_sync(&w);
	return world_stats(&w).tables_compared - before;
}

/* There are so many tables; so many of them are hot, and all others are armed. */
static void check_hot(uint64_t hot, uint64_t tables)
{
	struct at_stats stats = world_stats(&w);

	ck_assert_uint_eq(stats.tables, tables);
	ck_assert_uint_eq(stats.hot, hot);
	ck_assert_uint_eq(w.nr_armed, tables - hot);
}

START_TEST(quiet_tables_go_cold)
{
	for (unsigned i = 1; i < QUIET; i++)
		ck_assert_uint_eq(compared(), 4);
	ck_assert_uint_eq(w.nr_armed, 0);
	ck_assert_uint_gt(compared(), 4); /* and after arming once more */
	check_hot(0, 4);
	uint64_t calls = w.table_calls;

	ck_assert_uint_eq(compared(), 0);
	ck_assert_uint_eq(w.table_calls, calls); /* cold tables aren't even asked for */
	/* One write dirties one. */
	world_set(&w, l1, 7, W(DATA + 7));
	ck_assert_uint_eq(compared(), 1);
	ck_assert(at_has_alias(w.at, DATA + 7));
	ck_assert_uint_eq(world_stats(&w).hot, 1);
}
END_TEST

/* How many syncs it takes until no table is hot any more. */
static unsigned syncs_until_cold(void)
{
	unsigned nr = 0;

	while (world_stats(&w).hot && nr < 1u << 16) {
		world_sync(&w);
		nr++;
	}
	return nr;
}

START_TEST(default_is_128)
{
	teardown();
	start(AT_CHANGES, 0);
	sync_n(127);
	ck_assert_uint_eq(w.nr_armed, 0);
	sync_n(1);
	check_hot(0, 4);
}
END_TEST

START_TEST(busy_tables_stay_hot)
{
	for (unsigned i = 0; i < 10 * QUIET; i++) {
		world_set(&w, l1, i, W(DATA + i + 1));
		world_sync(&w);
		ck_assert(at_has_alias(w.at, DATA + i + 1));
	}
	check_hot(1, 4);
	ck_assert_uint_eq(world_stats(&w).tables_changed, 10 * QUIET);
	ck_assert_uint_eq(world_stats(&w).entries_changed, 10 * QUIET);
	sync_n(QUIET);
	ck_assert_uint_eq(world_stats(&w).hot, 0);
}
END_TEST

/* Changes again and again: it is armed no later each time. */
START_TEST(real_changes_do_not_back_off)
{
	sync_n(QUIET);
	for (unsigned i = 0; i < 10; i++) {
		world_set(&w, l1, i, W(DATA + i + 1));
		world_sync(&w);
		ck_assert_uint_eq(world_stats(&w).hot, 1);
		ck_assert_uint_le(syncs_until_cold(), QUIET);
	}
}
END_TEST

/* Walks by the processor dirty a table that is not changed: it is armed ever more rarely. */
START_TEST(spurious_writes_back_off)
{
	unsigned last = QUIET, now;

	sync_n(QUIET);
	for (unsigned round = 0; round < 9; round++) {
		if (round < 8)
			world_walk(&w, l1);
		else /* accessed and dirty bits are walks, too */
			world_set(&w, l1, 0, world_get(&w, l1, 0) | E_A | E_D);
		world_sync(&w);
		ck_assert_uint_eq(world_stats(&w).hot, 1);
		now = syncs_until_cold();
		ck_assert_uint_gt(now, last);
		last = now;
	}
	/* A change resets it. */
	world_set(&w, l1, 3, W(DATA + 3));
	world_sync(&w);
	ck_assert_uint_le(syncs_until_cold(), QUIET);
}
END_TEST

START_TEST(backoff_has_a_limit)
{
	teardown();
	start(AT_CHANGES, 1u << 15);
	for (unsigned round = 0; round < 3; round++) {
		sync_n(1u << (round ? 16 : 15));
		ck_assert_uint_eq(world_stats(&w).hot, 0);
		world_walk(&w, l1);
		world_sync(&w);
		ck_assert_uint_eq(world_stats(&w).hot, 1);
	}
}
END_TEST

/* The update that gets lost if a table is compared, then armed. */
static void write_before_arm(struct world *world, uint64_t pfn)
{
	if (pfn == l1)
		world_set(world, pfn, 100, W(DATA + 100));
}

START_TEST(written_before_it_is_armed)
{
	w.before_arm = write_before_arm;
	sync_n(QUIET);
	ck_assert(w.armed[l1]);
	ck_assert_msg(at_has_alias(w.at, DATA + 100), "an update got lost: armed after comparing");
	ck_assert_uint_eq(world_stats(&w).tables_changed, 1);
	w.before_arm = NULL;
	world_set(&w, l1, 101, W(DATA + 101));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA + 101));
}
END_TEST

START_TEST(arming_fails)
{
	w.refuse_arms = 4;
	sync_n(QUIET);
	ck_assert_uint_eq(world_stats(&w).hot, 4);
	ck_assert_uint_eq(world_stats(&w).arms, 0);
	world_set(&w, l1, 7, W(DATA + 7));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA + 7));
	/* The changed one is armed after QUIET syncs; the others, refused, wait twice as long. */
	sync_n(QUIET);
	ck_assert(w.armed[l1]);
	check_hot(3, 4);
	sync_n(QUIET);
	check_hot(0, 4);
}
END_TEST

START_TEST(freed_tables_are_disarmed)
{
	sync_n(QUIET);
	ck_assert(w.armed[l1]);
	world_map(&w, ROOT, VMALLOC, 2, 0);
	world_sync(&w);
	ck_assert(!w.armed[l1]);
	ck_assert_int_eq(at_unpin(w.at, l1), AT_OK);
	/* Linked again, it starts hot. */
	ck_assert_int_eq(at_pin(w.at, l1, 1), AT_OK);
	world_map(&w, ROOT, VMALLOC, 2, W(l1));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA));
	world_set(&w, l1, 9, W(DATA + 9));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA + 9));
	/* A root goes with all that only it reaches. */
	sync_n(2 * QUIET);
	check_hot(0, 4);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	ck_assert_uint_eq(w.nr_armed, 0);
}
END_TEST

/* A table that is unlinked in the sync that would have looked at it, while it is dirtied. */
START_TEST(dirtied_and_gone)
{
	sync_n(QUIET);
	world_set(&w, l1, 3, W(DATA + 3));
	world_map(&w, ROOT, VMALLOC, 2, 0);
	world_sync(&w);
	ck_assert(!at_has_alias(w.at, DATA + 3));
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	ck_assert_uint_eq(world_stats(&w).tables, 3);
}
END_TEST

START_TEST(many_wake_at_once)
{
	for (unsigned i = 0; i < 300; i++)
		world_map(&w, ROOT, VMALLOC + ((uint64_t)i << 21), 1, W(DATA));
	for (unsigned i = 0; i < 300; i++)
		at_pin(w.at, world_table(&w, ROOT, VMALLOC + ((uint64_t)i << 21), 1), 1);
	sync_n(2 * QUIET);
	check_hot(0, 303);
	for (unsigned i = 0; i < 300; i++)
		world_map(&w, ROOT, VMALLOC + ((uint64_t)i << 21), 1, W(DATA + 1));
	ck_assert_uint_eq(compared(), 300);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 0);
	ck_assert_uint_eq(at_alias_count(w.at, DATA + 1), 300);
}
END_TEST

/* Frames that the tracker didn't arm, or arms no more. */
START_TEST(wakes_of_strangers)
{
	sync_n(QUIET);
	w.noted[w.nr_noted++] = DATA;
	w.noted[w.nr_noted++] = FRAMES + 5;
	ck_assert_uint_eq(compared(), 0);
	ck_assert_uint_eq(world_stats(&w).dirtied, 0);
}
END_TEST

START_TEST(scan_compares_everything)
{
	teardown();
	start(AT_SCAN, QUIET);
	for (unsigned i = 0; i < 5 * QUIET; i++)
		ck_assert_uint_eq(compared(), 4);
	ck_assert_uint_eq(w.nr_armed, 0);
}
END_TEST

START_TEST(without_a_watcher)
{
	teardown();
	world_init(&w, FRAMES);
	w.ops.arm = NULL;
	w.ops.disarm = NULL;
	w.ops.dirtied = NULL;
	w.config.quiet_syncs = QUIET;
	world_start(&w);
	l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned i = 0; i < 5 * QUIET; i++)
		ck_assert_uint_eq(compared(), 4);
}
END_TEST

/* A frame that is table in several roles is compared once. */
START_TEST(compared_once)
{
	world_set(&w, ROOT, 510, W(ROOT));
	world_sync(&w);
	ck_assert_uint_eq(compared(), 4);
}
END_TEST

/* Unlinked tables are gone before they are looked at: what the guest has put there meanwhile is
 * nobody's business. */
START_TEST(unlinked_tables_are_not_read)
{
	for (unsigned i = 0; i < 512; i++)
		world_set(&w, l1, i, W(l1));
	for (unsigned i = 0; i < 512; i++)
		world_set(&w, world_table(&w, ROOT, VMALLOC, 2), i, ~0ull);
	world_map(&w, ROOT, VMALLOC, 3, 0);
	ck_assert_uint_eq(compared(), 2);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	ck_assert_uint_eq(world_stats(&w).tables, 2);
}
END_TEST

START_TEST(memory_that_vanishes)
{
	w.hole_begin = l1;
	w.hole_end = l1 + 1;
	ck_assert(!at_sync(w.at));
	ck_assert_int_eq(at_check(w.at, DATA + 1, 1), AT_NO_MEMORY);
	w.hole_begin = w.hole_end = 0;
	world_sync(&w);
	ck_assert_int_eq(at_check(w.at, DATA + 1, 1), AT_OK);
}
END_TEST

/* Switched to and fro, with a change each time in a table that was cold: nothing is missed. */
START_TEST(modes_are_switched)
{
	for (unsigned i = 1; i <= 3; i++) {
		sync_n(QUIET);
		check_hot(0, 4);
		world_set(&w, l1, i, W(DATA + i)); /* noted, and not yet asked for */
		ck_assert(at_set_mode(w.at, AT_SCAN));
		ck_assert_uint_eq(w.nr_armed, 0);
		ck_assert_uint_eq(world_stats(&w).hot, 4);
		ck_assert_uint_eq(compared(), 4);
		ck_assert(at_has_alias(w.at, DATA + i));
		sync_n(2 * QUIET);
		ck_assert_uint_eq(compared(), 4);
		world_set(&w, l1, i + 10, W(DATA + i + 10));
		ck_assert(at_set_mode(w.at, AT_CHANGES));
		world_sync(&w);
		ck_assert(at_has_alias(w.at, DATA + i + 10));
	}
	ck_assert(at_set_mode(w.at, AT_CHANGES)); /* as it is */
}
END_TEST

START_TEST(blind_is_no_mode_to_switch)
{
	ck_assert(!at_set_mode(w.at, AT_BLIND));
	sync_n(QUIET);
	check_hot(0, 4);
	teardown();
	start(AT_BLIND, QUIET);
	ck_assert(!at_set_mode(w.at, AT_SCAN));
	ck_assert(!at_set_mode(w.at, AT_CHANGES));
}
END_TEST

Suite *sync_suite(void)
{
	Suite *suite = suite_create("sync");
	TCase *tcase = tcase_create("sync");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, quiet_tables_go_cold);
	tcase_add_test(tcase, default_is_128);
	tcase_add_test(tcase, busy_tables_stay_hot);
	tcase_add_test(tcase, real_changes_do_not_back_off);
	tcase_add_test(tcase, spurious_writes_back_off);
	tcase_add_test(tcase, backoff_has_a_limit);
	tcase_add_test(tcase, written_before_it_is_armed);
	tcase_add_test(tcase, arming_fails);
	tcase_add_test(tcase, freed_tables_are_disarmed);
	tcase_add_test(tcase, dirtied_and_gone);
	tcase_add_test(tcase, many_wake_at_once);
	tcase_add_test(tcase, wakes_of_strangers);
	tcase_add_test(tcase, scan_compares_everything);
	tcase_add_test(tcase, without_a_watcher);
	tcase_add_test(tcase, compared_once);
	tcase_add_test(tcase, unlinked_tables_are_not_read);
	tcase_add_test(tcase, modes_are_switched);
	tcase_add_test(tcase, blind_is_no_mode_to_switch);
	tcase_add_test(tcase, memory_that_vanishes);
	suite_add_tcase(suite, tcase);
	return suite;
}

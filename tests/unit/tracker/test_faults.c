/* SPDX-License-Identifier: MIT */
/* Every allocation fails in turn: nothing leaks, nothing is granted, and afterwards the truth is
 * back. */
#include <errno.h>
#include <string.h>

#include "../../../alias-tracker/internal.h"

#include "fault.h"
#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define ROOT_2 2
#define DATA   2000ull

static struct world w;
static uint64_t counts[FRAMES];
static size_t live_before;

static void setup(void)
{
	live_before = fault_live();
	world_open(&w, FRAMES);
	w.at->max_spare = 0; /* each table is an allocation */
}

static void teardown(void)
{
	world_close(&w);
	ck_assert_uint_eq(fault_live(), live_before);
}

static void restart(void)
{
	teardown();
	setup();
}

static void remember_counts(void)
{
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++)
		counts[pfn] = at_alias_count(w.at, pfn);
}

static void expect_counts(void)
{
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++)
		if (at_alias_count(w.at, pfn) != counts[pfn])
			ck_abort_msg("frame %u: wrong count", (unsigned)pfn);
}

/* A tree with all that takes memory: many frames mapped more than once, shared tables. */
static void build(void)
{
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < 40; j++)
			world_map(&w, ROOT, VMALLOC + ((uint64_t)i << 21) + j * 4096, 1,
				  W(DATA + i * 20 + j));
	world_map(&w, ROOT, VMALLOC + (7 << 21), 2,
		  W(world_table(&w, ROOT, VMALLOC + (1 << 21), 1)));
	world_map(&w, ROOT, VMALLOC + (8 << 21), 2, W(3072) | E_PS);
	world_map(&w, ROOT, VMALLOC + (9 << 21), 2, W(3072) | E_PS);
}

START_TEST(at_new_fails)
{
	unsigned n = 1;

	at_free(w.at);
	for (;; n++) {
		fault_set(n, false);
		w.at = at_new(&w.config);
		if (w.at)
			break;
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_uint_eq(fault_live(), live_before);
	}
	ck_assert(!fault_fired());
	ck_assert_uint_gt(n, 3);
	fault_set(0, false);
}
END_TEST

/* Tables are reserved: all of them or no tracker; and then they need no memory. */
START_TEST(tables_are_reserved)
{
	uint64_t without = world_stats(&w).memory_bytes;
	unsigned n = 1;

	at_free(w.at);
	w.config.reserve_tables = 40;
	for (w.at = NULL; !w.at; n++) {
		fault_set(n, false);
		w.at = at_new(&w.config);
		fault_set(0, false);
		if (!w.at)
			ck_assert_uint_eq(fault_live(), live_before);
	}
	ck_assert_uint_gt(n, 40);
	ck_assert_uint_eq(
		world_stats(&w).memory_bytes - without,
		40 * (sizeof(struct table) + FEW_GROUPS * GROUP_ENTRIES * sizeof(uint64_t)));
	world_map(&w, ROOT, VMALLOC, 1, R(DATA));
	for (unsigned level = 1; level < 4; level++)
		ck_assert_int_eq(at_pin(w.at, world_table(&w, ROOT, VMALLOC, level), level), AT_OK);
	n = fault_live();
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_OK);
	ck_assert_uint_le(fault_live() - n, 1); /* the list of roots */
}
END_TEST

START_TEST(at_pin_fails)
{
	unsigned n = 1;

	for (;; n++) {
		fault_set(n, _i);
		enum at_verdict verdict = at_pin(w.at, 100 + n, 1 + n % 4);

		fault_set(0, false);
		if (verdict == AT_OK && n > 20)
			break;
		ck_assert_uint_eq(at_pinned_level(w.at, 100 + n), verdict ? 0 : 1 + n % 4);
		ck_assert(verdict == AT_NO_MEMORY || verdict == AT_OK);
	}
}
END_TEST

/* The root of a tree: the tracker is as before. */
START_TEST(root_fails)
{
	struct at_stats before, after;
	unsigned n = 1;
	enum at_verdict verdict;

	build();
	world_map(&w, ROOT_2, VMALLOC, 1, W(DATA + 5));
	world_map(&w, ROOT, 0, 4, R(world_table(&w, ROOT_2, VMALLOC, 3)));
	ck_assert_int_eq(world_pin_tree(&w, ROOT_2), AT_OK);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	at_flushed(w.at, UINT64_MAX);
	remember_counts();
	before = world_stats(&w);
	for (;; n++) {
		fault_set(n, _i);
		verdict = at_pin(w.at, ROOT, 4);
		bool fired = fault_fired();

		fault_set(0, false);
		if (!fired)
			break;
		if (verdict == AT_OK) { /* an allocation that wasn't needed: a map stayed large */
			ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
			at_flushed(w.at, UINT64_MAX);
			continue;
		}
		ck_assert_int_eq(verdict, AT_NO_MEMORY);
		expect_counts();
		after = world_stats(&w);
		before.memory_bytes = after.memory_bytes = 0;
		ck_assert(!memcmp(&before, &after, sizeof(after)));
		ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK);
	}
	ck_assert_uint_gt(n, 5);
	ck_assert_int_eq(verdict, AT_OK);
	ck_assert(at_has_alias(w.at, DATA));
}
END_TEST

/* What a root would have mapped that failed was never mapped: no flush is waited for. */
START_TEST(root_that_failed_never_was)
{
	enum at_verdict verdict = AT_NO_MEMORY;
	unsigned n = 0;

	build();
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	at_flushed(w.at, UINT64_MAX);
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	while (verdict != AT_OK) {
		ck_assert_int_eq(verdict, AT_NO_MEMORY);
		world_sync(&w);
		for (uint64_t pfn = DATA; pfn < DATA + 100; pfn++)
			ck_assert_int_eq(at_check(w.at, pfn, 1), AT_OK);
		fault_set(++n, _i);
		verdict = at_pin(w.at, ROOT, 4);
		fault_set(0, false);
	}
	ck_assert_uint_gt(n, 5);
}
END_TEST

/* Everything changes between two syncs; the second fails, at the nth allocation. Then it is
 * repeated. Returns false when n was more than enough. */
static bool failing_sync(unsigned n, bool for_good)
{
	struct at_violation v;
	unsigned reported;

	build();
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < 60; j++)
			world_map(&w, ROOT, VMALLOC + ((uint64_t)(i + 2) << 21) + j * 8192, 1,
				  W(DATA + 200 + i * 20 + j));
	world_map(&w, ROOT, VMALLOC + (9 << 21), 2, 0);
	world_map(&w, ROOT, VMALLOC + (1 << 21), 2, R(ROOT)); /* and some violations */
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	fault_set(n, for_good);
	bool ok = at_sync(w.at), fired = fault_fired();

	fault_set(0, false);
	ck_assert(ok || fired);
	/* When ok, it may be stale: without memory all frames are TLB-pending. */
	ck_assert_int_eq(at_check(w.at, 9, 1) == AT_NO_MEMORY, !ok);
	reported = world_violations(&w, NULL);
	world_sync(&w);
	for (; at_next_violation(w.at, &v); reported++)
		;
	ck_assert_uint_ge(reported, 3); /* two new tables, the root as L1 */
	for (uint64_t pfn = DATA - 100; pfn < DATA + 1200; pfn++)
		if (at_has_alias(w.at, pfn) != (at_oracle(w.at, pfn, NULL, 0) > 0))
			ck_abort_msg("frame %u: the oracle differs", (unsigned)pfn);
	remember_counts();
	/* What is gone is stale, whether it was seen by the sync that failed or by the next. */
	ck_assert_int_eq(at_check(w.at, DATA + 20 + 39, 1), AT_ALIAS);
	ck_assert_int_eq(at_check(w.at, DATA + 1, 1), AT_ALIAS);
	world_map(&w, ROOT, VMALLOC, 2, 0);
	world_sync(&w);
	ck_assert_int_eq(at_check(w.at, DATA + 1, 1), AT_STALE_TLB);
	return fired;
}

START_TEST(sync_fails)
{
	unsigned n = 1;

	while (failing_sync(n, _i)) {
		n++;
		restart();
	}
	ck_assert_uint_gt(n, 5);
}
END_TEST

/* A tracker that was starved for long says the same as one that is new. */
START_TEST(truth_comes_back)
{
	build();
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 30; i++)
			world_map(&w, ROOT, VMALLOC + ((uint64_t)(round * 31 + i * 7) % 4096 << 12),
				  1, (round + i) % 3 ? W(DATA + (round * i) % 50) : 0);
		fault_set(1 + round % 7, true);
		bool ok = at_sync(w.at);

		fault_set(0, false);
		ck_assert_int_eq(at_check(w.at, 3000, 1), ok ? AT_OK : AT_NO_MEMORY);
	}
	world_sync(&w);
	remember_counts();
	at_free(w.at);
	world_start(&w);
	world_pin_tree(&w, ROOT);
	if (!at_pinned_level(w.at, ROOT))
		ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_OK);
	expect_counts();
}
END_TEST

/* Memory: two bits a frame, what tables cost, what is mapped twice. */
START_TEST(memory_bound)
{
	uint64_t frames = 1 << 20, empty;
	struct at_stats stats;

	world_close(&w);
	world_open(&w, frames);
	empty = world_stats(&w).memory_bytes;
	ck_assert_uint_le(empty, frames / 4 + 20000);
	for (uint64_t i = 0; i < 512 * 200; i++)
		world_map(&w, ROOT, VMALLOC + i * 4096, 1, W(1000 + i));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	stats = world_stats(&w);
	ck_assert_uint_le(stats.memory_bytes - empty, stats.tables * (4096 + 1024));
	/* 1000 frames twice */
	for (uint64_t i = 0; i < 1000; i++)
		world_map(&w, ROOT, VMALLOC + i * 4096, 1, W(1000 + 2000 + i));
	world_sync(&w);
	ck_assert_uint_le(world_stats(&w).memory_bytes - stats.memory_bytes,
			  2048 * 16 + 2048 * 16 + 8192);
	/* And all is given back, but for the memory of a few tables. */
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	for (uint64_t pfn = 0; pfn < frames; pfn++)
		if (at_pinned_level(w.at, pfn))
			ck_assert_int_eq(at_unpin(w.at, pfn), AT_OK);
	at_flushed(w.at, UINT64_MAX);
	ck_assert_uint_le(world_stats(&w).memory_bytes,
			  empty + 4096 * 8 + 8192 + w.at->max_spare * 1024);
}
END_TEST

/* A process's tables: a few entries in each. */
START_TEST(tables_with_few_entries_take_little)
{
	struct at_stats stats;
	uint64_t empty;

	world_close(&w);
	world_open(&w, 1 << 20);
	empty = world_stats(&w).memory_bytes;
	for (uint64_t i = 0; i < 300; i++)
		for (uint64_t page = 0; page < 40; page++)
			world_map(&w, ROOT, VMALLOC + i * (2 << 20) + page * 4096, 1,
				  W(1000 + 40 * i + page));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	stats = world_stats(&w);
	ck_assert_uint_ge(stats.tables, 300);
	ck_assert_uint_le(stats.memory_bytes - empty, stats.tables * (1024 + 256) + 2 * 4096);
}
END_TEST

Suite *fault_suite(void)
{
	Suite *suite = suite_create("faults");
	TCase *tcase = tcase_create("faults");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, at_new_fails);
	tcase_add_test(tcase, tables_are_reserved);
	tcase_add_loop_test(tcase, at_pin_fails, 0, 2);
	tcase_add_loop_test(tcase, root_fails, 0, 2);
	tcase_add_loop_test(tcase, root_that_failed_never_was, 0, 2);
	tcase_add_loop_test(tcase, sync_fails, 0, 2);
	tcase_add_test(tcase, truth_comes_back);
	tcase_add_test(tcase, memory_bound);
	tcase_add_test(tcase, tables_with_few_entries_take_little);
	suite_add_tcase(suite, tcase);
	return suite;
}

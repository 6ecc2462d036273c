/* SPDX-License-Identifier: MIT */
#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define DATA   2000ull

static struct world w;
static uint64_t l1, l2, l3;

static void setup(void)
{
	world_open(&w, FRAMES);
	l1 = world_map(&w, ROOT, VMALLOC, 1, R(DATA));
	l2 = world_table(&w, ROOT, VMALLOC, 2);
	l3 = world_table(&w, ROOT, VMALLOC, 3);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_OK);
}

static void teardown(void)
{
	world_close(&w);
}

/* A sync that reports one violation, or none for kind < 0. */
static void expect(int kind, uint64_t pfn, uint64_t va, uint64_t table, unsigned level)
{
	struct at_violation v;

	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, &v), kind >= 0);
	if (kind < 0)
		return;
	ck_assert_int_eq(v.kind, kind);
	ck_assert_uint_eq(v.pfn, pfn);
	ck_assert_uint_eq(v.va, va);
	ck_assert_uint_eq(v.pte_gpa, FRAME(table) + va_index(va, level) * 8);
	ck_assert_uint_eq(v.level, level);
}

static void expect_none(void)
{
	expect(-1, 0, 0, 0, 0);
}

START_TEST(writable_after_the_grant)
{
	expect_none();
	world_set(&w, l1, 0, W(DATA));
	expect(AT_V_WRITABLE, DATA, VMALLOC, l1, 1);
	for (unsigned i = 0; i < 200; i++) /* quiet, armed, cold */
		expect_none();
	world_set(&w, l1, 0, W(DATA) | E_A | E_D);
	expect_none();
	world_set(&w, l1, 0, R(DATA));
	expect_none();
	world_set(&w, l1, 0, W(DATA));
	expect(AT_V_WRITABLE, DATA, VMALLOC, l1, 1);
	world_set(&w, l1, 0, W(l2)); /* another one */
	expect(AT_V_WRITABLE, l2, VMALLOC, l1, 1);
	ck_assert_uint_eq(world_stats(&w).violations, 3);
}
END_TEST

/* By an entry above that becomes writable. */
START_TEST(writable_by_the_path)
{
	world_set(&w, l2, va_index(VMALLOC, 2), R(l1));
	world_set(&w, l1, 0, W(DATA));
	expect_none();
	world_set(&w, l2, va_index(VMALLOC, 2), W(l1));
	expect(AT_V_WRITABLE, DATA, VMALLOC, l1, 1);
}
END_TEST

START_TEST(writable_by_a_large_leaf)
{
	uint64_t va = VMALLOC + (3 << 21);

	world_map(&w, ROOT, va, 2, W(1536) | E_PS);
	expect(AT_V_WRITABLE, DATA, va, l2, 2); /* 1536 + 464 */
	world_map(&w, ROOT, va, 2, W(1024) | E_PS);
	expect_none();
	va = VMALLOC + (1ull << 30);
	world_map(&w, ROOT, va, 3, W(0) | E_PS);
	expect(AT_V_WRITABLE, ROOT, va, l3, 3); /* the first of many */
}
END_TEST

START_TEST(direct_map_may)
{
	uint64_t table = world_map(&w, ROOT, DIRECT_BASE + FRAME(DATA), 1, W(DATA));
	uint64_t above = world_table(&w, ROOT, DIRECT_BASE, 3);

	ck_assert_int_eq(at_pin(w.at, table, 1), AT_OK);
	ck_assert_int_eq(at_pin(w.at, world_table(&w, ROOT, DIRECT_BASE, 2), 2), AT_OK);
	ck_assert_int_eq(at_pin(w.at, above, 3), AT_OK);
	expect_none();
	world_map(&w, ROOT, DIRECT_BASE + FRAME(DATA + 1), 1, W(DATA));
	expect(AT_V_WRITABLE, DATA, DIRECT_BASE + FRAME(DATA + 1), table, 1);
}
END_TEST

START_TEST(unpinned_link)
{
	uint64_t va = VMALLOC + (5 << 21);

	world_map(&w, ROOT, va, 2, W(DATA + 1));
	expect(AT_V_UNPINNED, DATA + 1, va, l2, 2);
	ck_assert_int_eq(at_pin(w.at, DATA + 9, 2), AT_OK);
	world_map(&w, ROOT, va, 2, W(DATA + 9)); /* pinned at another level */
	expect(AT_V_UNPINNED, DATA + 9, va, l2, 2);
	ck_assert_int_eq(at_pin(w.at, DATA + 2, 1), AT_OK);
	world_map(&w, ROOT, va, 2, W(DATA + 2));
	expect_none();
	/* What lies below an unpinned table is followed, and judged. */
	world_set(&w, DATA + 3, 0, W(DATA));
	world_map(&w, ROOT, va, 2, W(DATA + 3));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 2);
	ck_assert(at_has_alias(w.at, DATA));
	ck_assert_int_eq(at_pin(w.at, DATA + 3, 1), AT_OK);
	expect_none();
}
END_TEST

START_TEST(bad_entries)
{
	uint64_t va = VMALLOC + (5 << 21);

	world_map(&w, ROOT, va, 2, W(FRAMES + 7));
	expect(AT_V_BAD_TABLE, FRAMES + 7, va, l2, 2);
	world_map(&w, ROOT, va, 2, W(512 + 2) | E_PS); /* bit 13 */
	expect(AT_V_BAD_TABLE, 512 + 2, va, l2, 2);
	world_map(&w, ROOT, va, 2, W(512 + 256) | E_PS); /* bit 20 */
	expect(AT_V_BAD_TABLE, 512 + 256, va, l2, 2);
	world_map(&w, ROOT, va, 2, 0);
	va = VMALLOC + (1ull << 30);
	world_map(&w, ROOT, va, 3, W(1 << 17) | E_PS); /* bit 29 */
	expect(AT_V_BAD_TABLE, 1 << 17, va, l3, 3);
	world_map(&w, ROOT, va, 3, W(1) | E_PS); /* bit 12 is PAT: good, and maps all tables */
	expect(AT_V_WRITABLE, ROOT, va, l3, 3);
	world_map(&w, ROOT, va, 3, 0);
	va = SLOT;
	world_map(&w, ROOT, va, 4, W(l3) | E_PS);
	expect(AT_V_BAD_TABLE, l3, va, ROOT, 4);
	w.hole_begin = 3000;
	w.hole_end = 3001;
	world_map(&w, ROOT, va, 4, W(3000));
	expect(AT_V_BAD_TABLE, 3000, va, ROOT, 4);
	world_map(&w, ROOT, va, 4, 0);
	expect_none();
}
END_TEST

/* One entry of a table that is reached in several ways is one violation. */
START_TEST(entry_of_a_shared_table)
{
	world_set(&w, l2, 100, W(l1));
	world_set(&w, ROOT, 5, W(l3));
	world_map(&w, ROOT, DIRECT_BASE, 3, W(l2)); /* in the direct map, too */
	expect(AT_V_UNPINNED, w.next_table - 1, DIRECT_BASE, ROOT, 4);
	world_set(&w, l1, 7, W(DATA));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
}
END_TEST

/* What was reported is not again, because its table gets one more place in the direct map. */
START_TEST(reached_in_one_more_place)
{
	uint64_t direct = w.next_table++;

	world_set(&w, l1, 7, W(DATA));
	expect(AT_V_WRITABLE, DATA, VMALLOC + 7 * 4096, l1, 1);
	world_set(&w, direct, 0, W(l2));
	ck_assert_int_eq(at_pin(w.at, direct, 3), AT_OK);
	world_map(&w, ROOT, DIRECT_BASE, 4, W(direct));
	expect_none();
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1); /* it is the same leaf */
}
END_TEST

/* An entry that is a violation as a leaf becomes one as a link, too: only that is news. */
START_TEST(reached_at_one_more_level)
{
	struct at_violation v;
	bool as_link = false;

	world_set(&w, l1, 7, W(l2));
	expect(AT_V_WRITABLE, l2, VMALLOC + 7 * 4096, l1, 1);
	world_set(&w, l3, 3, W(l1));
	world_sync(&w);
	while (at_next_violation(w.at, &v)) {
		ck_assert(v.level == 2 || v.pte_gpa >> 12 != l1);
		as_link |= v.level == 2 && v.pte_gpa == FRAME(l1) + 7 * sizeof(v.pte_gpa);
	}
	ck_assert(as_link);
}
END_TEST

/* What looks wrong only in the middle of a sync isn't. */
START_TEST(only_the_outcome_counts)
{
	/* The path becomes writable as the leaf goes. */
	world_set(&w, l2, va_index(VMALLOC, 2), R(l1));
	world_set(&w, l1, 0, W(DATA));
	expect_none();
	world_set(&w, l1, 0, 0);
	world_set(&w, l2, va_index(VMALLOC, 2), W(l1));
	expect_none();
	/* The leaf comes as the path becomes read-only. */
	world_set(&w, l1, 0, W(DATA));
	world_set(&w, ROOT, va_index(VMALLOC, 4), R(l3));
	expect_none();
}
END_TEST

START_TEST(queue_is_bounded)
{
	struct at_violation v;

	for (unsigned i = 0; i < 300; i++)
		world_set(&w, l1, i, W(DATA));
	world_sync(&w);
	ck_assert_uint_eq(world_stats(&w).violations, 300);
	ck_assert(at_next_violation(w.at, &v)); /* oldest first */
	ck_assert_uint_eq(v.va, VMALLOC);
	ck_assert_uint_eq(world_violations(&w, &v), 255);
	ck_assert_uint_eq(v.va, VMALLOC + 255 * 4096);
	world_set(&w, l1, 400, W(DATA));
	expect(AT_V_WRITABLE, DATA, VMALLOC + 400 * 4096, l1, 1);
}
END_TEST

/* Its first way is gone: the address given is one that is true. */
START_TEST(address_by_another_way)
{
	world_set(&w, l2, 100, R(l1));
	world_sync(&w);
	world_set(&w, l2, va_index(VMALLOC, 2), 0);
	world_sync(&w);
	world_set(&w, l2, 101, W(l1));
	world_set(&w, l1, 3, W(DATA));
	expect(AT_V_WRITABLE, DATA, VMALLOC + (101 << 21) + 3 * 4096, l1, 1);
	world_set(&w, l2, 101, 0);
	world_set(&w, l2, 100, W(l1));
	world_set(&w, l1, 4, W(DATA));
	expect(AT_V_WRITABLE, DATA, VMALLOC + (100 << 21) + 4 * 4096, l1, 1);
}
END_TEST

Suite *violation_suite(void)
{
	Suite *suite = suite_create("violations");
	TCase *tcase = tcase_create("violations");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, writable_after_the_grant);
	tcase_add_test(tcase, writable_by_the_path);
	tcase_add_test(tcase, writable_by_a_large_leaf);
	tcase_add_test(tcase, direct_map_may);
	tcase_add_test(tcase, unpinned_link);
	tcase_add_test(tcase, bad_entries);
	tcase_add_test(tcase, entry_of_a_shared_table);
	tcase_add_test(tcase, reached_in_one_more_place);
	tcase_add_test(tcase, reached_at_one_more_level);
	tcase_add_test(tcase, only_the_outcome_counts);
	tcase_add_test(tcase, queue_is_bounded);
	tcase_add_test(tcase, address_by_another_way);
	suite_add_tcase(suite, tcase);
	return suite;
}

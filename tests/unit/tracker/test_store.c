/* SPDX-License-Identifier: MIT */
/* Stores that are judged before they are done. The tables are written here only when that is
 * allowed, as a source that holds stores back does it. */
#include "fault.h"
#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define DATA   2000ull
#define TABLE  2001ull /* pinned as L1, linked nowhere */
#define LOOSE  2002ull /* no table */
#define MAPPED 300u    /* frames from 1000 on, by TABLE */

static struct world w;
static uint64_t l1, l2, l3;
static struct at_violation why;

static void setup(void)
{
	world_open(&w, FRAMES);
	l1 = world_map(&w, ROOT, VMALLOC, 1, R(DATA));
	l2 = world_table(&w, ROOT, VMALLOC, 2);
	l3 = world_table(&w, ROOT, VMALLOC, 3);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_int_eq(at_pin(w.at, TABLE, 1), AT_OK);
	w.clock.cleared = 1; /* nothing that goes is flushed */
}

/* The tracker must know by then all that memory says, and the oracle the same. */
static void teardown(void)
{
	uint64_t changed = world_stats(&w).tables_changed;

	world_sync(&w);
	ck_assert_uint_eq(world_stats(&w).tables_changed, changed);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++)
		ck_assert_uint_eq(at_oracle(w.at, pfn, NULL, 0), at_alias_count(w.at, pfn));
	world_close(&w);
}

static enum at_verdict store(uint64_t table, unsigned index, uint64_t pte)
{
	enum at_verdict verdict = at_store(w.at, FRAME(table) + index * 8, pte, &why);

	if (verdict == AT_OK)
		world_set(&w, table, index, pte);
	return verdict;
}

START_TEST(leaves_are_known_at_once)
{
	ck_assert_int_eq(store(l1, 3, W(DATA)), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_ALIAS);
	ck_assert_int_eq(store(l1, 3, 0), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 0);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_STALE_TLB);
	ck_assert_uint_eq(world_stats(&w).entries_changed, 2);
}
END_TEST

/* Of what the entry alone tells, too: by any path; none leads to a table that isn't reached. */
START_TEST(every_refusal_has_its_address)
{
	uint64_t va_5 = VMALLOC + ((uint64_t)5 << 21);

	ck_assert_int_eq(store(l2, 5, W(LOOSE)), AT_CHILD_UNPINNED);
	ck_assert_uint_eq(why.va, va_5);
	ck_assert_int_eq(store(l2, 5, W(FRAMES)), AT_BAD_TABLE);
	ck_assert_uint_eq(why.va, va_5);
	ck_assert_int_eq(store(l2, 5, E_PS | W(3)), AT_BAD_TABLE);
	ck_assert_uint_eq(why.va, va_5);
	ck_assert_int_eq(store(ROOT, 511, W(LOOSE)), AT_CHILD_UNPINNED);
	ck_assert_uint_eq(why.va, 0xffffff8000000000);
	ck_assert_int_eq(at_pin(w.at, LOOSE, 2), AT_OK);
	ck_assert_int_eq(store(LOOSE, 5, W(LOOSE)), AT_CHILD_UNPINNED);
	ck_assert_uint_eq(why.va, 0);
}
END_TEST

START_TEST(a_table_never_becomes_writable)
{
	ck_assert_int_eq(store(l1, 3, W(TABLE)), AT_MAPS_TABLE);
	ck_assert_int_eq(why.kind, AT_V_WRITABLE);
	ck_assert_uint_eq(why.pfn, TABLE);
	ck_assert_uint_eq(why.va, VMALLOC + 3 * 4096);
	ck_assert_uint_eq(why.pte_gpa, FRAME(l1) + 3 * 8);
	ck_assert_uint_eq(at_alias_count(w.at, TABLE), 0);
	ck_assert_int_eq(store(l1, 3, R(TABLE)), AT_OK);
	ck_assert_int_eq(store(l1, 3, W(TABLE)), AT_MAPS_TABLE);
	ck_assert_int_eq(store(l2, 5, E_PS | W(TABLE & ~511ull)), AT_MAPS_TABLE);
	/* A refused store leaves nothing that would have to be flushed. */
	ck_assert_int_eq(at_unpin(w.at, TABLE), AT_OK);
	ck_assert_int_eq(at_check(w.at, TABLE, 1), AT_OK);
}
END_TEST

/* Nor by what leads to the entry. */
START_TEST(nor_by_a_link_that_becomes_writable)
{
	ck_assert_int_eq(store(l2, 0, R(l1)), AT_OK);
	ck_assert_int_eq(store(l1, 3, W(TABLE)), AT_OK);
	ck_assert_int_eq(store(l2, 0, W(l1)), AT_MAPS_TABLE);
	ck_assert_uint_eq(why.pfn, TABLE);
	ck_assert_uint_eq(why.pte_gpa, FRAME(l1) + 3 * 8);
	ck_assert_int_eq(store(l1, 3, 0), AT_OK);
	ck_assert_int_eq(store(l2, 0, W(l1)), AT_OK);
}
END_TEST

START_TEST(links_lead_to_pinned_tables)
{
	ck_assert_int_eq(store(l2, 7, W(LOOSE)), AT_CHILD_UNPINNED);
	ck_assert_uint_eq(why.pfn, LOOSE);
	ck_assert_uint_eq(why.level, 2);
	ck_assert_int_eq(store(l3, 7, W(TABLE)), AT_CHILD_UNPINNED); /* of another level */
	ck_assert_int_eq(store(l2, 7, W(FRAMES)), AT_BAD_TABLE);
	ck_assert_int_eq(store(l2, 7, E_PS | FRAME(1) << 1 | E_P), AT_BAD_TABLE);
	ck_assert_int_eq(store(l2, 7, W(TABLE)), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, TABLE), AT_BAD_STATE);
	/* What it maps counts from then on. */
	ck_assert_int_eq(store(TABLE, 9, W(DATA)), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	ck_assert_int_eq(store(l2, 7, 0), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 0);
	ck_assert_int_eq(at_unpin(w.at, TABLE), AT_OK);
}
END_TEST

/* What nobody can reach is judged when it is linked. */
START_TEST(a_table_that_is_not_reached)
{
	ck_assert_int_eq(store(TABLE, 9, W(l1)), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, l1), 0);
	ck_assert_int_eq(store(l2, 7, W(TABLE)), AT_MAPS_TABLE);
	ck_assert_uint_eq(why.pfn, l1);
	ck_assert_int_eq(store(TABLE, 9, 0), AT_OK);
	ck_assert_int_eq(store(l2, 7, W(TABLE)), AT_OK);
}
END_TEST

START_TEST(only_pinned_tables)
{
	ck_assert_int_eq(store(LOOSE, 0, W(DATA)), AT_BAD_STATE);
	ck_assert_int_eq(store(FRAMES, 0, 0), AT_BAD_STATE);
	ck_assert_int_eq(at_store(w.at, UINT64_MAX - 7, 0, &why), AT_BAD_STATE);
}
END_TEST

/* Out of memory at any point: refused, and nothing has changed. */
START_TEST(out_of_memory)
{
	enum at_verdict verdict = AT_NO_MEMORY;
	unsigned failures = 0;

	for (unsigned i = 0; i < MAPPED; i++)
		world_set(&w, TABLE, i, W(1000 + i / 2)); /* each twice: counts that need room */
	for (unsigned nth = 1; verdict == AT_NO_MEMORY; nth++) {
		fault_set(nth, false);
		verdict = at_store(w.at, FRAME(l2) + 7 * 8, W(TABLE), &why);
		fault_set(0, false);
		if (verdict == AT_OK)
			world_set(&w, l2, 7, W(TABLE));
		for (uint64_t pfn = 1000; pfn < 1000 + MAPPED / 2; pfn++)
			ck_assert_uint_eq(at_alias_count(w.at, pfn), verdict == AT_OK ? 2 : 0);
		failures += verdict == AT_NO_MEMORY;
		world_sync(&w); /* after a failure to undo nothing is judged before one */
	}
	ck_assert_int_eq(verdict, AT_OK);
	ck_assert_uint_gt(failures, 0);
}
END_TEST

Suite *store_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = tcase_create("store");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, leaves_are_known_at_once);
	tcase_add_test(tc, every_refusal_has_its_address);
	tcase_add_test(tc, a_table_never_becomes_writable);
	tcase_add_test(tc, nor_by_a_link_that_becomes_writable);
	tcase_add_test(tc, links_lead_to_pinned_tables);
	tcase_add_test(tc, a_table_that_is_not_reached);
	tcase_add_test(tc, only_pinned_tables);
	tcase_add_test(tc, out_of_memory);
	suite_add_tcase(suite, tc);
	return suite;
}

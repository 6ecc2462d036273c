/* SPDX-License-Identifier: MIT */
/* Stores that are judged before they are done. The tables are written here only when that is
 * allowed, as write protection does it. */
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

/* The tracker must know by then all that memory says. */
static void check_nothing_is_new(void)
{
	uint64_t changed = world_stats(&w).tables_changed;

	world_sync(&w);
	ck_assert_uint_eq(world_stats(&w).tables_changed, changed);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
}

/* And the oracle the same. */
static void teardown(void)
{
	check_nothing_is_new();
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++)
		ck_assert_uint_eq(at_oracle(w.at, pfn, NULL, 0), at_alias_count(w.at, pfn));
	world_close(&w);
}

static enum at_verdict store(uint64_t table, unsigned index, uint64_t pte)
{
	struct at_entry entry = {FRAME(table) + index * 8, pte};
	enum at_verdict verdict = at_store(w.at, &entry, 1, &why);

	if (verdict == AT_OK)
		world_set(&w, table, index, pte);
	return verdict;
}

static enum at_verdict store_all(const struct at_entry *entries, unsigned nr)
{
	enum at_verdict verdict = at_store(w.at, entries, nr, &why);

	for (unsigned i = 0; verdict == AT_OK && i < nr; i++)
		world_set(&w, entries[i].pte_gpa >> 12, entries[i].pte_gpa / 8 % 512,
			  entries[i].pte);
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

/* A table that no root reaches is judged when it is linked. */
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
	ck_assert_int_eq(store_all(&(struct at_entry){UINT64_MAX - 7, 0}, 1), AT_BAD_STATE);
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
		verdict = store(l2, 7, W(TABLE));
		fault_set(0, false);
		for (uint64_t pfn = 1000; pfn < 1000 + MAPPED / 2; pfn++)
			ck_assert_uint_eq(at_alias_count(w.at, pfn), verdict == AT_OK ? 2 : 0);
		failures += verdict == AT_NO_MEMORY;
	}
	ck_assert_int_eq(verdict, AT_OK);
	ck_assert_uint_gt(failures, 0);
}
END_TEST

/* --- several entries -------------------------------------------------------------------------- */

static struct at_entry entry_of(uint64_t table, unsigned index, uint64_t pte)
{
	return (struct at_entry){FRAME(table) + index * 8, pte};
}

START_TEST(all_or_none)
{
	struct at_entry entries[] = {entry_of(l1, 3, W(DATA)), entry_of(l1, 4, W(LOOSE)),
				     entry_of(l2, 9, W(TABLE)), entry_of(l1, 5, W(TABLE)),
				     entry_of(l1, 6, 0)};

	ck_assert_int_eq(store_all(entries, 4), AT_MAPS_TABLE);
	ck_assert_uint_eq(why.pte_gpa, FRAME(l1) + 5 * 8);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 0);
	ck_assert_int_eq(at_unpin(w.at, TABLE), AT_OK); /* nothing links it */
	ck_assert_int_eq(at_pin(w.at, TABLE, 1), AT_OK);
	ck_assert_int_eq(store_all(entries, 3), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, LOOSE), 1);
	ck_assert_int_eq(at_unpin(w.at, TABLE), AT_BAD_STATE);
	ck_assert_int_eq(store_all(entries, 5), AT_BAD_STATE);
	entries[1] = entries[0];
	ck_assert_int_eq(store_all(entries, 2), AT_BAD_STATE);
	ck_assert_int_eq(store_all(entries, 0), AT_OK);
}
END_TEST

/* One of them links the table in which the other is, which nothing had linked: in both orders. */
START_TEST(what_is_linked_by_the_same_store)
{
	struct at_entry entries[] = {entry_of(TABLE, 511, W(l1)), entry_of(l2, 0 + 7, W(TABLE)),
				     entry_of(TABLE, 511, W(l1))};

	ck_assert_int_eq(store_all(entries + _i, 2), AT_MAPS_TABLE);
	ck_assert_uint_eq(why.pfn, l1);
	entries[0].pte = entries[2].pte = W(DATA);
	ck_assert_int_eq(store_all(entries + _i, 2), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
}
END_TEST

/* What was wrong is put right by the store that links it. */
START_TEST(what_is_put_right_by_the_same_store)
{
	struct at_entry entries[] = {entry_of(TABLE, 0, R(l1)), entry_of(l2, 7, W(TABLE))};

	world_set(&w, TABLE, 0, W(l1));
	ck_assert_int_eq(store(l2, 7, W(TABLE)), AT_MAPS_TABLE);
	ck_assert_int_eq(store_all(entries, 2), AT_OK);
}
END_TEST

/* It unlinks a tree, and what it says next is refused: to put the tree back takes no memory. */
START_TEST(a_refusal_needs_no_memory)
{
	struct at_entry entries[] = {entry_of(l2, 0, 0), entry_of(l3, 0, 0), entry_of(ROOT, 0, 0),
				     entry_of(l1, 5, W(l1))};
	uint64_t bytes;

	for (unsigned i = 0; i < MAPPED; i++)
		ck_assert_int_eq(store(l1, 10 + i, W(1000 + i / 4)), AT_OK);
	if (_i)
		ck_assert(at_count_all(w.at));
	ck_assert_int_eq(store(l1, 9, R(l1)), AT_OK); /* room to count one that maps it writable */
	bytes = world_stats(&w).memory_bytes;
	entries[2].pte_gpa = FRAME(ROOT) + va_index(VMALLOC, 4) * 8;
	ck_assert_uint_eq(world_get(&w, ROOT, va_index(VMALLOC, 4)), W(l3) | E_US);
	fault_set(1, true);
	ck_assert_int_eq(store_all(entries, 4), AT_MAPS_TABLE);
	fault_set(0, false);
	ck_assert_uint_eq(world_stats(&w).memory_bytes, bytes);
	for (unsigned i = 0; i < MAPPED / 4; i++)
		ck_assert_uint_eq(at_alias_count(w.at, 1000 + i), 4);
	/* And to do it takes none, either. */
	fault_set(1, true);
	ck_assert_int_eq(store_all(entries, 3), AT_OK);
	fault_set(0, false);
	for (unsigned i = 0; i < MAPPED / 4; i++)
		ck_assert_uint_eq(at_alias_count(w.at, 1000 + i), 0);
}
END_TEST

/* --- random ones ------------------------------------------------------------------------------ */

#define RANDOM_TABLES 24u
#define RANDOM_BASE   3000ull
#define RANDOM_ROUNDS 1000u

static uint64_t random_state;

static unsigned any(unsigned below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(random_state >> 33) % below;
}

/* Six of each level, from RANDOM_BASE on; those of level 4 are roots. */
static uint64_t any_table(unsigned level)
{
	return RANDOM_BASE + (level - 1) * 6 + any(6);
}

static struct at_entry any_entry(void)
{
	static const unsigned places[] = {0, 1, 273, 400};
	unsigned level = 1 + any(4);
	uint64_t flags = E_P | (any(3) ? E_RW : 0) | (any(4) ? 0 : E_US), pte = 0;

	if (any(4))
		pte = FRAME(level > 1 ? any_table(level - 1)
				      : RANDOM_BASE + any(RANDOM_TABLES + 6)) |
		      flags;
	if (level == 2 && !any(8))
		pte = FRAME(512 * any(4)) | flags | E_PS;
	return entry_of(any_table(level), places[any(4)], pte);
}

/* Of a table with several paths each counts for the oracle. */
static void check_frame(uint64_t pfn)
{
	ck_assert_uint_eq(at_oracle(w.at, pfn, NULL, 0) > 0, at_has_alias(w.at, pfn));
	ck_assert(!at_pinned_level(w.at, pfn) || !at_has_alias(w.at, pfn));
	ck_assert_uint_eq(at_oracle_of(w.at, pfn, TO_HOST, NULL, 0) > 0, at_is_mapped(w.at, pfn));
}

/* Random stores of up to four entries, some of them without memory from some point on: whatever the
 * answer, tracker and oracle agree about each frame, and a later sync finds nothing. */
START_TEST(random_stores)
{
	unsigned answers[AT_MEMTYPE_CONFLICT + 1] = {0};

	random_state = (uint64_t)_i;
	ck_assert(at_count_all(w.at));
	for (unsigned i = 0; i < RANDOM_TABLES; i++)
		ck_assert_int_eq(at_pin(w.at, RANDOM_BASE + i, 1 + i / 6), AT_OK);
	for (unsigned round = 0; round < RANDOM_ROUNDS; round++) {
		struct at_entry entries[AT_STORE_MAX];
		unsigned nr = 1 + any(AT_STORE_MAX);

		for (unsigned i = 0; i < nr; i++)
			entries[i] = any_entry();
		fault_set(any(3), true);
		answers[store_all(entries, nr)]++;
		fault_set(0, false);
		check_frame(RANDOM_BASE + any(RANDOM_TABLES + 6));
	}
	check_nothing_is_new();
	for (uint64_t pfn = RANDOM_BASE; pfn < RANDOM_BASE + RANDOM_TABLES + 6; pfn++)
		check_frame(pfn);
	world_close(&w);
	ck_assert_uint_gt(answers[AT_OK], RANDOM_ROUNDS / 10);
	ck_assert_uint_gt(answers[AT_MAPS_TABLE], 0);
	ck_assert_uint_gt(answers[AT_NO_MEMORY], 0);
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
	tcase_add_test(tc, all_or_none);
	tcase_add_loop_test(tc, what_is_linked_by_the_same_store, 0, 2);
	tcase_add_test(tc, what_is_put_right_by_the_same_store);
	tcase_add_loop_test(tc, a_refusal_needs_no_memory, 0, 2);
	suite_add_tcase(suite, tc);
	tc = tcase_create("random");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, random_stores, 0, 4);
	suite_add_tcase(suite, tc);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* What is kept about frames, and the copies of tables, against plain arrays. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../../../alias-tracker/copy.h"
#include "../../../alias-tracker/frames.h"
#include "fault.h"
#include "suites.h"

#define NR     (3ull << 18 | 700) /* three GiB and a bit */
#define UNITS  600u               /* of each level: what is counted at random */
#define LEVELS 3u

static struct frames frames;
static uint32_t plain[COUNT_KINDS][LEVELS][UNITS];
static size_t live_before, empty_bytes;
static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 32) * below >> 32;
}

static void setup(void)
{
	live_before = fault_live();
	memset(plain, 0, sizeof(plain));
	seed = 1;
	ck_assert(frames_init(&frames, NR));
	empty_bytes = frames.bytes;
}

static void teardown(void)
{
	frames_free(&frames);
	ck_assert_uint_eq(fault_live(), live_before);
}

/* Units lie about the end of a region, and about that of memory. */
static uint64_t unit_pfn(unsigned level, unsigned unit)
{
	uint64_t first = level == 1 ? NR - UNITS : 0;

	return (first + unit) << (level - 1) * 9;
}

static void expect_counts(void)
{
	for (unsigned kind = 0; kind < COUNT_KINDS; kind++)
		for (unsigned level = 1; level <= LEVELS; level++)
			for (unsigned i = 0; i < UNITS && unit_pfn(level, i) < NR; i++)
				ck_assert_uint_eq(
					leaf_count(&frames, kind, level, unit_pfn(level, i)),
					plain[kind][level - 1][i]);
}

static bool plain_is_mapped(enum count_kind kind, uint64_t pfn)
{
	for (unsigned level = 1; level <= LEVELS; level++)
		for (unsigned i = 0; i < UNITS; i++)
			if (plain[kind][level - 1][i] &&
			    pfn >> (level - 1) * 9 == unit_pfn(level, i) >> (level - 1) * 9)
				return true;
	return false;
}

/* The region of what may be counted quickly, now and then; or NULL. */
static struct region *quick_region(enum count_kind kind, unsigned level, uint64_t pfn)
{
	return kind == COUNT_WRITABLE && level == 1 && rnd(2) ? region_find(&frames, pfn) : NULL;
}

static bool add(enum count_kind kind, unsigned level, uint64_t pfn)
{
	struct region *region = quick_region(kind, level, pfn);

	return (region && region_add_quick(region, pfn)) ||
	       leaf_count_add(&frames, kind, level, pfn);
}

static bool drop(enum count_kind kind, unsigned level, uint64_t pfn)
{
	struct region *region = quick_region(kind, level, pfn);
	bool last;

	if (region && region_drop_quick(region, pfn, &last))
		return last;
	return leaf_count_drop(&frames, kind, level, pfn);
}

/* One leaf more or less; more often more in the first half of the run, so that counts get high. */
static void count_at_random(unsigned step, unsigned steps, bool may_fail)
{
	enum count_kind kind = rnd(COUNT_KINDS);
	unsigned level = 1 + rnd(LEVELS), i = rnd(rnd(2) ? 4 : UNITS);
	uint32_t *expected = &plain[kind][level - 1][i];
	uint64_t pfn = unit_pfn(level, i);

	if (pfn >= NR)
		return;
	if (rnd(100) < (step < steps / 2 ? 65 : 30)) {
		if (may_fail && rnd(3) == 0)
			fault_set(1 + rnd(4), true);
		if (add(kind, level, pfn))
			++*expected;
		else
			ck_assert(fault_fired());
		fault_set(0, false);
	} else if (*expected) {
		ck_assert_int_eq(drop(kind, level, pfn), --*expected == 0);
	}
}

/* No unit keeps more writable leaves than this. */
static void drop_to(uint32_t most)
{
	for (unsigned level = 1; level <= LEVELS; level++)
		for (unsigned i = 0; i < UNITS; i++) {
			uint32_t *left = &plain[COUNT_WRITABLE][level - 1][i];

			for (; *left > most; --*left)
				drop(COUNT_WRITABLE, level, unit_pfn(level, i));
		}
}

/* What numbers above two are kept in. */
static bool is_more_kept(void)
{
	for (unsigned i = 0; i < UNITS; i++) {
		const struct region *region = region_find(&frames, unit_pfn(1, i));

		if (region && region->writable.more)
			return true;
	}
	return false;
}

START_TEST(counts_are_those_of_plain_arrays)
{
	unsigned steps = 200000;

	for (unsigned step = 0; step < steps; step++) {
		count_at_random(step, steps, _i);
		if (step % 20000 == 0)
			expect_counts();
	}
	expect_counts();
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t pfn = rnd(NR + 5);
		enum count_kind kind = rnd(COUNT_KINDS);

		ck_assert_int_eq(frame_is_mapped(&frames, kind, pfn), plain_is_mapped(kind, pfn));
	}
	mapped_counts_clear(&frames);
	memset(plain[COUNT_MAPPED], 0, sizeof(plain[COUNT_MAPPED]));
	expect_counts();
	ck_assert(is_more_kept());
	drop_to(2);
	expect_counts();
	ck_assert(!is_more_kept());
	drop_to(0);
	ck_assert_uint_eq(frames.bytes, empty_bytes);
	ck_assert_uint_eq(frames.nr_large, 0);
}
END_TEST

/* A number that has become too high to be counted never says again that there is none. */
START_TEST(a_count_sticks_where_it_would_wrap)
{
	for (unsigned i = 0; i < 4; i++)
		ck_assert(leaf_count_add(&frames, COUNT_WRITABLE, 1, 5));
	frames.region[0]->writable.more[0][5] = COUNT_STICKS - 1;
	for (unsigned i = 0; i < 3; i++)
		ck_assert(leaf_count_add(&frames, COUNT_WRITABLE, 1, 5));
	ck_assert_uint_eq(leaf_count(&frames, COUNT_WRITABLE, 1, 5), COUNT_STICKS);
	for (unsigned i = 0; i < 9; i++)
		ck_assert(!leaf_count_drop(&frames, COUNT_WRITABLE, 1, 5));
	ck_assert(frame_is_mapped(&frames, COUNT_WRITABLE, 5));
}
END_TEST

static bool set_word(uint64_t pfn, uintptr_t value)
{
	if (value)
		return frame_word_put(&frames, pfn, value);
	frame_word_clear(&frames, pfn);
	return true;
}

START_TEST(words)
{
	static uintptr_t expected[2048];
	uint64_t base = (1ull << 18) - 1024; /* both sides of the end of a GiB */

	memset(expected, 0, sizeof(expected));
	for (unsigned step = 0; step < 100000; step++) {
		unsigned i = rnd(2048);
		uintptr_t value = rnd(100) < (step < 60000 ? 60 : 10) ? 1 + rnd(1000) : 0;
		bool replaces = expected[i] || !value, ok;

		if (_i && rnd(3) == 0)
			fault_set(1 + rnd(4), true);
		ok = set_word(base + i, value);
		ck_assert(ok || (fault_fired() && !replaces));
		fault_set(0, false);
		if (ok)
			expected[i] = value;
		ck_assert_uint_eq(frame_word(&frames, base + i), expected[i]);
	}
	for (unsigned i = 0; i < 2048; i++) {
		ck_assert_uint_eq(frame_word(&frames, base + i), expected[i]);
		ck_assert(set_word(base + i, 0));
	}
	ck_assert_uint_eq(frame_word(&frames, NR), 0);
	ck_assert_uint_eq(frame_word(&frames, UINT64_MAX), 0);
	ck_assert_uint_eq(frames.bytes, empty_bytes);
}
END_TEST

/* --- copies ----------------------------------------------------------------------------------- */

static uint64_t table[PT_ENTRIES];

static uint64_t some_value(void)
{
	switch (rnd(4)) {
	case 0:
		return 0;
	case 1:
		return rnd(1000) << 12; /* not present */
	default:
		return rnd(1000) << 12 | PTE_P;
	}
}

static uint64_t lines_that_differ(const struct copy *copy)
{
	uint64_t lines = 0;

	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (copy_get(copy, i) != table[i])
			lines |= 1ull << i / LINE_ENTRIES;
	return lines;
}

static bool is_present(const struct copy *copy, unsigned i)
{
	return copy_get(copy, i) & PTE_P;
}

/* How many entries the walk over those that are present gets wrong. Counted, not asserted one by
 * one: Check notes each assertion, and millions of notes slow down every test that follows. */
static unsigned wrong_in_walk(const struct copy *copy)
{
	unsigned next = 0, wrong = 0;

	FOREACH_PRESENT (i, copy) {
		for (; next < i; next++)
			wrong += is_present(copy, next);
		wrong += !is_present(copy, next++);
	}
	for (; next < PT_ENTRIES; next++)
		wrong += is_present(copy, next);
	return wrong;
}

static void expect_copy(const struct copy *copy)
{
	ck_assert_uint_eq(copy_lines_differ(copy, table), lines_that_differ(copy));
	ck_assert_int_eq(copy_differs(copy, table), lines_that_differ(copy) != 0);
	ck_assert_uint_eq(wrong_in_walk(copy), 0);
}

/* What is asked of a table, or of its copy, without looking at each entry. */
static void expect_same_entries(const struct copy *copy)
{
	uint64_t present[WORDS], some = table_present(present, table), any = table[rnd(PT_ENTRIES)];
	struct pattern pattern = {PTE_ADDR | PTE_P, (any & PTE_ADDR) | PTE_P};
	unsigned wrong = 0, matches = 0;

	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		unsigned word = i / WORD_ENTRIES;
		bool is = some >> word & 1 && present[word] >> i % WORD_ENTRIES & 1;

		wrong += is != (table[i] & PTE_P);
		matches += (table[i] & pattern.mask) == pattern.want;
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_int_eq(copy_matches(copy, pattern), matches > 0);
}

static void set_entry(struct copy *copy, unsigned i, size_t *bytes)
{
	if (!copy_store(copy, i, bytes))
		abort();
	copy_set(copy, i, table[i]);
}

/* There is memory for as many groups as have been stored at once, in powers of two. */
static void expect_room(const struct copy *copy, unsigned most, size_t bytes)
{
	unsigned max = FEW_GROUPS;

	while (max < most)
		max *= 2;
	ck_assert_uint_eq(copy->nr, (unsigned)__builtin_popcount(copy->stored));
	ck_assert_uint_eq(bytes, most ? max * sizeof(*copy->group) : 0);
}

static void load_anew(struct copy *copy, size_t *bytes)
{
	unsigned wrong = 0;

	copy_trim(copy, bytes);
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		wrong += copy_get(copy, i) != 0;
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_le(*bytes, FEW_GROUPS * sizeof(*copy->group));
	ck_assert(copy_load(copy, table, bytes));
}

START_TEST(copies_follow_tables)
{
	struct copy copy;
	size_t bytes = 0;
	unsigned most = 0;

	memset(table, 0, sizeof(table));
	copy_init(&copy);
	ck_assert(copy_load(&copy, table, &bytes));
	ck_assert_uint_eq(copy.stored, 0);
	expect_room(&copy, 0, bytes);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned n = rnd(2) ? 3 : 40, from = rnd(PT_ENTRIES - 40);
		bool clears = rnd(3) == 0;

		if (rnd(30) == 0)
			memset(table, 0, sizeof(table));
		for (unsigned i = from; i < from + n; i++)
			table[i] = clears ? 0 : some_value();
		expect_copy(&copy);
		if (rnd(20) == 0) {
			load_anew(&copy, &bytes);
			most = copy.max ? FEW_GROUPS : 0;
		}
		for (unsigned i = 0; i < PT_ENTRIES; i++)
			if (copy_get(&copy, i) != table[i])
				set_entry(&copy, i, &bytes);
		most = copy.nr > most ? copy.nr : most;
		expect_room(&copy, most, bytes);
		ck_assert_uint_eq(lines_that_differ(&copy), 0);
		expect_copy(&copy);
		expect_same_entries(&copy);
	}
	memset(table, 0, sizeof(table));
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		copy_set(&copy, i, 0);
	expect_copy(&copy);
	copy_free(&copy, &bytes);
	ck_assert_uint_eq(bytes, 0);
}
END_TEST

/* The owner of the table: an entry of a group that is zero otherwise comes and goes. */
static void *write_entry(void *arg)
{
	atomic_bool *stop = arg;

	while (!atomic_load(stop)) {
		__atomic_store_n(&table[40], PTE_P | 1 << 12, __ATOMIC_RELAXED);
		__atomic_store_n(&table[40], 0, __ATOMIC_RELAXED);
	}
	return NULL;
}

static unsigned groups_not_stored(const struct copy *copy)
{
	unsigned wrong = 0;

	for (unsigned group = 0; group < GROUPS; group++)
		wrong += copy->present_of[group] && !(copy->stored >> group & 1);
	return wrong;
}

/* Each entry is loaded once, or a copy would contradict itself. */
START_TEST(a_table_is_written_while_it_is_loaded)
{
	atomic_bool stop = false;
	unsigned wrong = 0;
	struct copy copy;
	size_t bytes = 0;
	pthread_t owner;

	memset(table, 0, sizeof(table));
	table[0] = table[17] = PTE_P;
	copy_init(&copy);
	ck_assert_int_eq(pthread_create(&owner, NULL, write_entry, &stop), 0);
	for (unsigned i = 0; i < 1000000; i++) {
		wrong += !copy_load(&copy, table, &bytes);
		wrong += groups_not_stored(&copy);
	}
	atomic_store(&stop, true);
	ck_assert_int_eq(pthread_join(owner, NULL), 0);
	copy_free(&copy, &bytes);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

Suite *frames_suite(void)
{
	Suite *suite = suite_create("frames");
	TCase *tcase = tcase_create("frames");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, counts_are_those_of_plain_arrays, 0, 2);
	tcase_add_test(tcase, a_count_sticks_where_it_would_wrap);
	tcase_add_loop_test(tcase, words, 0, 2);
	tcase_add_test(tcase, copies_follow_tables);
	tcase_add_test(tcase, a_table_is_written_while_it_is_loaded);
	suite_add_tcase(suite, tcase);
	return suite;
}

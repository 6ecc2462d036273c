/* SPDX-License-Identifier: MIT */
/* Packs, and the counts that are made of them, against plain arrays. */
#include <string.h>

#include "../../../alias-tracker/internal.h"
#include "fault.h"
#include "suites.h"

#define WORDS 3u
#define UNITS (2 * COUNT_BLOCK + 100)

static struct pack pack;
static uint64_t plain[PACK_ITEMS][WORDS];
static size_t bytes, live_before;
static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 32) * below >> 32;
}

static void setup(void)
{
	live_before = fault_live();
	pack = (struct pack){0};
	memset(plain, 0, sizeof(plain));
	bytes = 0;
	seed = 1;
}

static void teardown(void)
{
	pack_free(&pack, WORDS, &bytes);
	ck_assert_uint_eq(bytes, 0);
	ck_assert_uint_eq(fault_live(), live_before);
}

static void expect_items(void)
{
	static const uint64_t zero[WORDS];

	for (unsigned i = 0; i < PACK_ITEMS; i++) {
		const uint64_t *item = pack_find(&pack, i, WORDS);

		ck_assert_int_eq(memcmp(item ? item : zero, plain[i], sizeof(zero)), 0);
	}
}

static void set_item(unsigned i, unsigned word, uint64_t value)
{
	uint64_t *item = pack_make(&pack, i, WORDS, &bytes);

	ck_assert_ptr_nonnull(item);
	item[word] = plain[i][word] = value;
}

static void zero_item(unsigned i)
{
	uint64_t *item = pack_find(&pack, i, WORDS);

	memset(plain[i], 0, sizeof(plain[i]));
	if (item)
		memset(item, 0, sizeof(plain[i]));
	pack_drop(&pack, i, WORDS, &bytes);
}

/* Fills up and gets empty by turns, so that all are stored at times. */
START_TEST(random_items)
{
	for (unsigned n = 0; n < 200000; n++) {
		unsigned i = (unsigned)rnd(PACK_ITEMS);

		if (rnd(100) < (n / 2000 % 2 ? 20 : 80))
			set_item(i, (unsigned)rnd(WORDS), 1 + rnd(1000));
		else
			zero_item(i);
		if (n % 64 == 0)
			expect_items();
	}
	for (unsigned i = 0; i < PACK_ITEMS; i++)
		zero_item(i);
	ck_assert_uint_eq(bytes, 0);
	ck_assert_ptr_null(pack.items);
}
END_TEST

START_TEST(made_at_once)
{
	uint64_t stored = _i == 64 ? PACK_ALL : (1ull << _i) - 1;

	ck_assert(pack_init(&pack, stored, WORDS, &bytes));
	ck_assert_uint_eq(pack.stored & stored, stored);
	expect_items();
	for (unsigned i = 0; i < PACK_ITEMS; i++)
		set_item(i, 0, i + 1);
	expect_items();
}
END_TEST

/* Nothing is lost, and dropping doesn't need any. */
START_TEST(out_of_memory_changes_nothing)
{
	for (unsigned nr = 0; nr < PACK_ITEMS; nr++) {
		uint64_t stored = pack.stored;

		fault_set(1, true);
		if (!pack_make(&pack, nr, WORDS, &bytes))
			ck_assert_uint_eq(pack.stored, stored);
		expect_items();
		fault_set(0, false);
		set_item(nr, 1, nr + 1);
	}
	fault_set(1, true);
	for (unsigned i = 0; i < PACK_ITEMS; i++) {
		zero_item(i);
		expect_items();
	}
	fault_set(0, false);
	ck_assert_uint_eq(bytes, 0);
}
END_TEST

static void expect_counts(const struct count *count, const uint8_t *counts)
{
	for (uint64_t unit = 0; unit < UNITS; unit++) {
		ck_assert_uint_eq(count_of(count, unit), counts[unit]);
		ck_assert_uint_eq(count_any(count, unit), counts[unit] != 0);
	}
	ck_assert(!count_any(count, UNITS));
	ck_assert(!count_any(count, UINT64_MAX));
}

static void count_step(struct count *count, uint8_t *counts)
{
	uint64_t unit = rnd(8) ? rnd(UNITS) : UNITS - 1 - rnd(4);

	if (rnd(2) && counts[unit] < 20) {
		bool added = count_add(count, unit);

		ck_assert(added || fault_fired());
		counts[unit] += added;
	} else if (counts[unit]) {
		ck_assert_int_eq(count_drop(count, unit), counts[unit] == 1);
		counts[unit]--;
	}
}

START_TEST(random_counts)
{
	static uint8_t counts[UNITS];
	struct count count;

	memset(counts, 0, sizeof(counts));
	ck_assert(count_init(&count, UNITS, 1));
	for (unsigned n = 0; n < 400000; n++) {
		if (_i && n % 50 == 0)
			fault_set(1 + (unsigned)rnd(3), n % 100 == 0);
		count_step(&count, counts);
		if (n % 20000 == 0)
			expect_counts(&count, counts);
	}
	fault_set(0, false);
	expect_counts(&count, counts);
	count_free(&count);
}
END_TEST

/* A frame that is mapped a million times over costs no more time and no more memory. */
START_TEST(many_of_one)
{
	struct count count;
	size_t few;

	ck_assert(count_init(&count, UNITS, 1));
	for (unsigned n = 0; n < 10; n++)
		ck_assert(count_add(&count, 5));
	few = count_bytes(&count);
	for (unsigned n = 10; n < 1000000; n++)
		ck_assert(count_add(&count, 5));
	ck_assert_uint_eq(count_bytes(&count), few);
	ck_assert_uint_eq(count_of(&count, 5), 1000000);
	for (unsigned n = 1; n < 1000000; n++)
		ck_assert(!count_drop(&count, 5));
	ck_assert(count_drop(&count, 5));
	ck_assert(!count_any(&count, 5));
	count_free(&count);
}
END_TEST

Suite *pack_suite(void)
{
	Suite *suite = suite_create("pack");
	TCase *tcase = tcase_create("pack");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, random_items);
	tcase_add_loop_test(tcase, made_at_once, 0, 65);
	tcase_add_test(tcase, out_of_memory_changes_nothing);
	tcase_add_loop_test(tcase, random_counts, 0, 2);
	tcase_add_test(tcase, many_of_one);
	suite_add_tcase(suite, tcase);
	return suite;
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "../../../alias-tracker/map.h"
#include "fault.h"
#include "suites.h"

static struct map map;

static void setup(void)
{
	map_init(&map, 12345);
}

static void teardown(void)
{
	map_clear(&map);
	ck_assert_uint_eq(fault_live(), 0);
}

START_TEST(empty)
{
	size_t at = 0;
	uint64_t key, value;

	ck_assert_uint_eq(map_get(&map, 0), 0);
	ck_assert_uint_eq(map_get(&map, UINT64_MAX), 0);
	ck_assert_uint_eq(map_bytes(&map), 0);
	ck_assert(!map_next(&map, &at, &key, &value));
	map_delete(&map, 7);
	ck_assert_uint_eq(map.used, 0);
}
END_TEST

START_TEST(any_key)
{
	const uint64_t keys[] = {0, 1, UINT64_MAX, 12345, 1ull << 63};

	for (unsigned i = 0; i < 5; i++)
		ck_assert(map_put(&map, keys[i], i + 1));
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(map_get(&map, keys[i]), i + 1);
	ck_assert(map_put(&map, 0, 99));
	ck_assert_uint_eq(map_get(&map, 0), 99);
	ck_assert_uint_eq(map.used, 5);
}
END_TEST

/* Against a plain array, with as many deletions as insertions. */
START_TEST(random_operations)
{
	enum { KEYS = 3000 };
	static uint64_t truth[KEYS];
	unsigned used = 0, wrong = 0;

	srandom(1);
	for (unsigned i = 0; i < 300000; i++) {
		/* grow for a while, then shrink for a while */
		bool insert = random() % 100 < (i / 20000 % 2 ? 20 : 80);
		uint64_t key = random() % KEYS, value = 1 + random();

		used += (insert && !truth[key]) - (!insert && truth[key]);
		truth[key] = insert ? value : 0;
		if (insert)
			wrong += !map_put(&map, key << 40, value);
		else
			map_delete(&map, key << 40);
		wrong += map.used != used || map_get(&map, key << 40) != truth[key];
		for (key = 0; i % 1000 == 0 && key < KEYS; key++)
			wrong += map_get(&map, key << 40) != truth[key];
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(iterates_over_all)
{
	size_t at = 0;
	uint64_t key, value, keys = 0, values = 0;

	for (uint64_t i = 1; i <= 100; i++)
		ck_assert(map_put(&map, i, i * i));
	while (map_next(&map, &at, &key, &value)) {
		keys += key;
		values += value;
	}
	ck_assert_uint_eq(keys, 5050);
	ck_assert_uint_eq(values, 338350);
}
END_TEST

START_TEST(grows_and_shrinks)
{
	for (uint64_t i = 0; i < 100000; i++)
		if (!map_put(&map, i, 1))
			ck_abort_msg("insertion %u failed", (unsigned)i);
	ck_assert_uint_le(map_bytes(&map), 100000 * 16 * 8 / 3);
	for (uint64_t i = 0; i < 100000; i++)
		map_delete(&map, i);
	ck_assert_uint_eq(map.used, 0);
	ck_assert_uint_le(map_bytes(&map), 16 * 16);
}
END_TEST

START_TEST(out_of_memory_changes_nothing)
{
	for (uint64_t i = 0; i < 12; i++)
		ck_assert(map_put(&map, i, i + 1));
	fault_set(1, true);
	ck_assert(!map_put(&map, 12, 13));
	ck_assert(map_put(&map, 11, 100)); /* replaces */
	for (uint64_t i = 0; i < 11; i++)
		ck_assert_uint_eq(map_get(&map, i), i + 1);
	ck_assert_uint_eq(map_get(&map, 12), 0);
	for (uint64_t i = 0; i < 12; i++)
		map_delete(&map, i);
	fault_set(0, false);
	ck_assert(map_put(&map, 12, 13));
	ck_assert_uint_eq(map_get(&map, 12), 13);
}
END_TEST

Suite *map_suite(void)
{
	Suite *suite = suite_create("map");
	TCase *tcase = tcase_create("map");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, any_key);
	tcase_add_test(tcase, random_operations);
	tcase_add_test(tcase, iterates_over_all);
	tcase_add_test(tcase, grows_and_shrinks);
	tcase_add_test(tcase, out_of_memory_changes_nothing);
	suite_add_tcase(suite, tcase);
	return suite;
}

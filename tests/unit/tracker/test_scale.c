/* SPDX-License-Identifier: MIT */
/* A sync costs what changed, exactly, whatever the size of the guest and the number of tables. */
#include "suites.h"
#include "world.h"

#define GIB   (1ull << 18) /* in frames */
#define ROOT  1
#define QUIET 4

static const struct {
	uint64_t frames;
	unsigned tables;
} cases[] = {
	{1 * GIB, 100},   {16 * GIB, 100},   {256 * GIB, 100},
	{1 * GIB, 10000}, {16 * GIB, 10000}, {256 * GIB, 10000},
};

static struct world w;

static uint64_t table_va(unsigned i)
{
	return VMALLOC + ((uint64_t)i << 21);
}

static uint64_t compared(void)
{
	uint64_t before = world_stats(&w).tables_compared;

	world_sync(&w);
	return world_stats(&w).tables_compared - before;
}

START_TEST(cost_follows_what_changed)
{
	unsigned n = cases[_i].tables;
	uint64_t data = cases[_i].frames - 1000;

	world_init(&w, cases[_i].frames);
	w.config.quiet_syncs = QUIET;
	world_start(&w);
	for (unsigned i = 0; i < n; i++)
		world_map(&w, ROOT, table_va(i), 1, W(data));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_uint_ge(world_stats(&w).tables, n);
	for (unsigned i = 0; i < QUIET; i++)
		world_sync(&w);
	ck_assert_uint_eq(world_stats(&w).hot, 0);
	uint64_t calls = w.table_calls;

	for (unsigned i = 0; i < 100; i++) /* nothing changes */
		ck_assert_uint_eq(compared(), 0);
	ck_assert_uint_eq(w.table_calls, calls);
	for (unsigned i = 0; i < 100; i++) { /* one hot table, changing or not */
		world_map(&w, ROOT, table_va(n / 2), 1, W(data + 1 + i / 2));
		ck_assert_uint_eq(compared(), 1);
	}
	ck_assert_uint_eq(w.table_calls, calls + 100);
	for (unsigned i = 0; i < 10; i++) /* ten at once */
		world_map(&w, ROOT, table_va(i), 1, 0);
	ck_assert_uint_eq(compared(), 11);
	ck_assert_uint_eq(at_alias_count(w.at, data), n - 11);
	world_close(&w);
}
END_TEST

START_TEST(bytes_per_frame)
{
	world_init(&w, cases[_i].frames);
	world_start(&w);
	ck_assert_uint_le(world_stats(&w).memory_bytes, w.frames / 4 + 20000);
	world_close(&w);
}
END_TEST

Suite *scale_suite(void)
{
	Suite *suite = suite_create("scale");
	TCase *tcase = tcase_create("scale");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, cost_follows_what_changed, 0, 6);
	tcase_add_loop_test(tcase, bytes_per_frame, 0, 6);
	suite_add_tcase(suite, tcase);
	return suite;
}

/* SPDX-License-Identifier: MIT */
#include "kvm/memory.h"
#include "pin/strict_pte.h"
#include "suites.h"

#define FRAME(pfn) ((pfn)*4096ull)
#define P          1ull
#define RW         2ull
#define A          0x20ull
#define D          0x40ull
#define LARGE      0x80ull
#define SOFT       0x200ull
#define NX         (1ull << 63)

static struct memory mem;

static void setup(void)
{
	ck_assert_int_eq(memory_init(&mem, 4 << 20), 0);
}

static void teardown(void)
{
	memory_free(&mem);
}

START_TEST(presets)
{
	ck_assert_uint_eq(pte_preset_accessed(0, 1), 0);
	ck_assert_uint_eq(pte_preset_accessed(RW | FRAME(3), 1), RW | FRAME(3));
	ck_assert_uint_eq(pte_preset_accessed(P, 1), P | A | D);
	ck_assert_uint_eq(pte_preset_accessed(P | RW, 1), P | RW | A | D);
	ck_assert_uint_eq(pte_preset_accessed(P | RW, 2), P | RW | A);
	ck_assert_uint_eq(pte_preset_accessed(P | RW | LARGE, 2), P | RW | LARGE | A | D);
	ck_assert_uint_eq(pte_preset_accessed(P | LARGE, 3), P | LARGE | A | D);
}
END_TEST

static const struct {
	unsigned level;
	uint64_t old, pte;
	enum zap stale;
} changes[] = {
	{1, 0, P | RW | FRAME(3), ZAP_NOTHING},
	{1, RW | FRAME(3), P | FRAME(3), ZAP_NOTHING},
	{1, P | RW | FRAME(3), 0, ZAP_GFN},
	{1, P | RW | FRAME(3), P | RW | FRAME(4), ZAP_GFN},
	{1, P | RW | FRAME(3), P | FRAME(3), ZAP_GFN},
	{1, P | FRAME(3), P | RW | FRAME(3), ZAP_NOTHING},
	{1, P | RW | NX | FRAME(3), P | RW | FRAME(3), ZAP_NOTHING},
	{1, P | RW | FRAME(3), P | RW | NX | FRAME(3), ZAP_GFN},
	{1, P | RW | FRAME(3), P | RW | FRAME(3) | A | D | SOFT, ZAP_NOTHING},
	{1, P | RW | FRAME(3) | LARGE, P | RW | FRAME(3), ZAP_GFN}, /* PAT */
	{1, P | RW | 0xd0000000, 0, ZAP_ALL},                       /* no memory */
	{2, 0, P | RW | FRAME(3), ZAP_NOTHING},
	{2, P | RW | FRAME(3), 0, ZAP_ALL},
	{2, P | FRAME(3), P | RW | FRAME(3), ZAP_ALL},
	{2, P | RW | LARGE, P | LARGE, ZAP_ALL},
	{4, P | RW | FRAME(3), P | RW | FRAME(3) | A, ZAP_NOTHING},
};

START_TEST(what_is_stale)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		ck_assert_msg(zap_scope(&mem, changes[i].level, changes[i].old, changes[i].pte) ==
				      changes[i].stale,
			      "change %zu", i);
}
END_TEST

TCase *strict_pte_tests(void)
{
	TCase *tc = tcase_create("strict-pte");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, presets);
	tcase_add_test(tc, what_is_stale);
	return tc;
}

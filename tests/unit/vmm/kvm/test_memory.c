/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include "kvm/memory.h"
#include "suites.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

START_TEST(one_slot)
{
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 64 * MIB), 0);
	ck_assert_uint_eq(mem.nr, 1);
	ck_assert_uint_eq(memory_end_pfn(&mem), 64 * MIB / 4096);
	ck_assert_ptr_eq(memory_ptr(&mem, 0, 1), mem.slot[0].hva);
	ck_assert_ptr_eq(memory_ptr(&mem, 0, 64 * MIB), mem.slot[0].hva);
	ck_assert_ptr_eq(memory_ptr(&mem, 64 * MIB - 1, 1), mem.slot[0].hva + 64 * MIB - 1);
	ck_assert_uint_eq((uintptr_t)mem.slot[0].hva % (2 * MIB), 0);
	memory_free(&mem);
	ck_assert_uint_eq(mem.nr, 0);
}
END_TEST

START_TEST(refuses)
{
	static const struct {
		uint64_t gpa, len;
	} bad[] = {
		{0, 0},
		{64 * MIB, 1},
		{64 * MIB - 1, 2},
		{64 * MIB, 0},
		{0, 64 * MIB + 1},
		{1, 64 * MIB},
		{0, UINT64_MAX},
		{1, UINT64_MAX},
		{4096, UINT64_MAX - 4095},
		{UINT64_MAX, 1},
		{UINT64_MAX, UINT64_MAX},
		{3 * GIB, 1},
		{4 * GIB, 1},
	};
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 64 * MIB), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_ptr_null(memory_ptr(&mem, bad[i].gpa, bad[i].len));
	memory_free(&mem);
}
END_TEST

/* 64 GiB are reserved, not taken; the hole has no memory. */
START_TEST(two_slots)
{
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 64 * GIB), 0);
	ck_assert_uint_eq(mem.nr, 2);
	ck_assert_uint_eq(mem.slot[0].size, 3 * GIB);
	ck_assert_uint_eq(mem.slot[1].gpa, 4 * GIB);
	ck_assert_uint_eq(mem.slot[1].size, 61 * GIB);
	ck_assert_uint_eq(memory_end_pfn(&mem), 65 * GIB / 4096);
	ck_assert_ptr_null(memory_ptr(&mem, 3 * GIB - 1, 2));
	ck_assert_ptr_null(memory_ptr(&mem, 3 * GIB, 1));
	ck_assert_ptr_null(memory_ptr(&mem, 4 * GIB - 1, 1));
	ck_assert_ptr_null(memory_ptr(&mem, 4 * GIB - 1, 2));
	ck_assert_ptr_null(memory_ptr(&mem, 0, 4 * GIB + 1));
	ck_assert_ptr_eq(memory_ptr(&mem, 4 * GIB, 1), mem.slot[1].hva);
	ck_assert_ptr_eq(memory_ptr(&mem, 65 * GIB - 8, 8), mem.slot[1].hva + 61 * GIB - 8);
	ck_assert_ptr_null(memory_ptr(&mem, 65 * GIB - 8, 9));
	memory_free(&mem);
}
END_TEST

START_TEST(the_border_between_one_and_two)
{
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 3 * GIB), 0);
	ck_assert_uint_eq(mem.nr, 1);
	memory_free(&mem);
	ck_assert_int_eq(memory_init(&mem, 3 * GIB + 4096), 0);
	ck_assert_uint_eq(mem.nr, 2);
	ck_assert_uint_eq(mem.slot[1].size, 4096);
	memory_free(&mem);
}
END_TEST

START_TEST(resident_is_what_was_touched)
{
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 5 * GIB), 0);
	for (unsigned i = 0; i < mem.nr; i++)
		madvise(mem.slot[i].hva, mem.slot[i].size, MADV_NOHUGEPAGE);
	ck_assert_uint_eq(memory_resident(&mem), 0);
	*(uint8_t *)memory_ptr(&mem, 0, 1) = 1;
	*(uint8_t *)memory_ptr(&mem, 2 * GIB, 1) = 1;
	*(uint8_t *)memory_ptr(&mem, 6 * GIB - 1, 1) = 1;
	ck_assert_uint_eq(memory_resident(&mem), 3 * 4096);
	memory_free(&mem);
}
END_TEST

/* What KVM and the process forget of shared pages is still there; of others it is not. */
START_TEST(shared_pages_outlast_being_forgotten)
{
	struct memory mem;
	uint8_t *page;

	ck_assert_int_eq(memory_init(&mem, 64 * MIB), 0);
	ck_assert_int_eq(memory_share(&mem, 64 * 4096, 3 * 4096), 0);
	page = memory_ptr(&mem, 63 * 4096, 5 * 4096);
	for (int i = 0; i < 5; i++)
		page[i * 4096] = 0x5a;
	ck_assert_int_eq(madvise(page, 5 * 4096ul, MADV_DONTNEED), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(page[i * 4096], i == 0 || i == 4 ? 0 : 0x5a);
	memory_free(&mem);
}
END_TEST

TCase *memory_tests(void)
{
	TCase *tc = tcase_create("memory");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, one_slot);
	tcase_add_test(tc, refuses);
	tcase_add_test(tc, two_slots);
	tcase_add_test(tc, the_border_between_one_and_two);
	tcase_add_test(tc, resident_is_what_was_touched);
	tcase_add_test(tc, shared_pages_outlast_being_forgotten);
	return tc;
}

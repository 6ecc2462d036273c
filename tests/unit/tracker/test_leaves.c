/* SPDX-License-Identifier: MIT */
/* What counts as a writable alias. */
#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define DATA   2000ull

static struct world w;

static void setup(void)
{
	world_open(&w, FRAMES);
}

static void teardown(void)
{
	world_close(&w);
}

static void expect(uint64_t pfn, uint64_t count)
{
	ck_assert_uint_eq(at_alias_count(w.at, pfn), count);
	ck_assert_int_eq(at_has_alias(w.at, pfn), count > 0);
	ck_assert_int_eq(at_oracle(w.at, pfn, NULL, 0) > 0, count > 0);
}

START_TEST(small_leaves)
{
	world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	world_map(&w, ROOT, VMALLOC + 0x1000, 1, R(DATA + 1));
	world_map(&w, ROOT, 0x1000, 1, W(DATA + 2) | E_US);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(DATA, 1);
	expect(DATA + 1, 0);
	expect(DATA + 2, 1);
	expect(DATA + 3, 0);
	/* Entries change: read-only, then gone, then another frame. */
	world_map(&w, ROOT, VMALLOC, 1, R(DATA));
	world_sync(&w);
	expect(DATA, 0);
	world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	world_sync(&w);
	expect(DATA, 1);
	world_map(&w, ROOT, VMALLOC, 1, W(DATA + 3));
	world_sync(&w);
	expect(DATA, 0);
	expect(DATA + 3, 1);
}
END_TEST

START_TEST(counts_are_exact)
{
	for (unsigned i = 0; i < 100; i++)
		world_map(&w, ROOT, VMALLOC + i * 0x1000, 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned i = 0; i < 100; i++) {
		expect(DATA, 100 - i);
		world_map(&w, ROOT, VMALLOC + i * 0x1000, 1, 0);
		world_sync(&w);
	}
	expect(DATA, 0);
}
END_TEST

/* XSA-273: an entry that is not present may hold anything. */
START_TEST(not_present_means_nothing)
{
	world_map(&w, ROOT, VMALLOC, 1, W(DATA) & ~E_P);
	world_map(&w, ROOT, VMALLOC + (1 << 21), 2, (W(DATA) | E_PS) & ~E_P);
	world_set(&w, ROOT, 7, 0x000ffffffffffffeull);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(DATA, 0);
	world_map(&w, ROOT, VMALLOC, 1, FRAME(DATA + 1) | E_RW);
	world_sync(&w);
	expect(DATA, 0);
	expect(DATA + 1, 0);
}
END_TEST

START_TEST(large_leaves_count_for_all_they_span)
{
	world_map(&w, ROOT, VMALLOC, 2, W(1024) | E_PS);
	world_map(&w, ROOT, VMALLOC + (1 << 21), 1, W(1030));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(1023, 0);
	for (uint64_t pfn = 1024; pfn < 1536; pfn++)
		expect(pfn, 1 + (pfn == 1030));
	expect(1536, 0);
	/* The PAT bit is no part of the address. */
	world_map(&w, ROOT, VMALLOC, 2, W(1024) | E_PS | 1 << 12);
	world_sync(&w);
	expect(1024, 1);
	expect(1025, 1);
	/* Split: the same mapping by small leaves. */
	world_map(&w, ROOT, VMALLOC, 2, 0);
	for (unsigned i = 0; i < 512; i++)
		world_map(&w, ROOT, VMALLOC + i * 0x1000, 1, W(1024 + i));
	ck_assert_int_eq(at_pin(w.at, world_table(&w, ROOT, VMALLOC, 1), 1), AT_OK);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	expect(1024, 1);
	expect(1030, 2);
	expect(1535, 1);
}
END_TEST

START_TEST(huge_leaves)
{
	uint64_t data = DATA;

	world_map(&w, ROOT, 0x40000000, 3, W(0) | E_PS | E_US);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_MAPS_TABLE); /* it maps its own tables */
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
	world_map(&w, ROOT, 0x40000000, 3, R(0) | E_PS | E_US);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(data, 0);
	world_map(&w, ROOT, 0x40000000, 3, W(0) | E_PS | E_US);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
	expect(0, 1);
	expect(data, 1);
	expect(FRAMES - 1, 1); /* memory ends within it */
	/* Beyond memory there is nothing to count. */
	world_map(&w, ROOT, 0x40000000, 3, W(1 << 18) | E_PS | E_US);
	world_sync(&w);
	expect(data, 0);
	ck_assert(!at_has_alias(w.at, 1 << 18));
	ck_assert_uint_eq(at_alias_count(w.at, 1 << 18), 0);
}
END_TEST

START_TEST(permissions_combine_over_the_path)
{
	uint64_t l3, l2, l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));

	l2 = world_table(&w, ROOT, VMALLOC, 2);
	l3 = world_table(&w, ROOT, VMALLOC, 3);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(DATA, 1);
	/* Each level takes the right away and gives it back. */
	world_set(&w, l2, va_index(VMALLOC, 2), R(l1));
	world_sync(&w);
	expect(DATA, 0);
	world_set(&w, l3, va_index(VMALLOC, 3), R(l2));
	world_set(&w, l2, va_index(VMALLOC, 2), W(l1));
	world_sync(&w);
	expect(DATA, 0);
	world_set(&w, ROOT, va_index(VMALLOC, 4), R(l3));
	world_set(&w, l3, va_index(VMALLOC, 3), W(l2));
	world_sync(&w);
	expect(DATA, 0);
	world_set(&w, l1, 5, W(DATA + 1)); /* new, and not reached writably */
	world_sync(&w);
	expect(DATA + 1, 0);
	world_set(&w, ROOT, va_index(VMALLOC, 4), W(l3));
	world_sync(&w);
	expect(DATA, 1);
	expect(DATA + 1, 1);
}
END_TEST

/* One table, two paths: writable if one of them is; its leaves are the same leaves. */
START_TEST(shared_table_with_two_rights)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	uint64_t l2 = world_map(&w, ROOT, VMALLOC + (1 << 21), 2, R(l1));

	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(DATA, 1);
	world_set(&w, l2, 1, W(l1));
	world_sync(&w);
	expect(DATA, 1);
	world_set(&w, l2, 0, R(l1));
	world_sync(&w);
	expect(DATA, 1);
	world_set(&w, l2, 1, R(l1));
	world_sync(&w);
	expect(DATA, 0);
	world_set(&w, l2, 0, 0);
	world_sync(&w);
	world_set(&w, l2, 1, W(l1));
	world_sync(&w);
	expect(DATA, 1);
	world_set(&w, l2, 1, 0);
	world_sync(&w);
	expect(DATA, 0);
	ck_assert_uint_eq(world_stats(&w).tables, 3);
}
END_TEST

START_TEST(direct_map_is_exempt)
{
	uint64_t l2 = world_map(&w, ROOT, DIRECT_BASE, 2, W(0) | E_PS | E_NX);

	world_set(&w, l2, 2, W(1024) | E_PS);
	world_map(&w, ROOT, DIRECT_BASE + FRAME(512 + 3), 1, W(512 + 3));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(1, 0);
	expect(512 + 3, 0);
	expect(1024, 0);
	/* A leaf of the direct map that doesn't map linearly is an alias like any other. */
	world_map(&w, ROOT, DIRECT_BASE + FRAME(512 + 4), 1, W(512 + 5));
	world_set(&w, l2, 3, W(1024) | E_PS);
	world_sync(&w);
	expect(512 + 5, 1);
	expect(512 + 4, 0);
	expect(1024, 1);
	expect(1535, 1);
	expect(1536, 0);
	/* And the linear one in another place isn't exempt. */
	world_map(&w, ROOT, VMALLOC + FRAME(512 + 3), 1, W(512 + 3));
	world_sync(&w);
	expect(512 + 3, 1);
}
END_TEST

/* The same frame as table in and outside of the direct map: its leaf counts once, for outside. */
START_TEST(table_in_and_outside_of_the_direct_map)
{
	uint64_t l1 = world_map(&w, ROOT, DIRECT_BASE + FRAME(512 + 3), 1, W(512 + 3));

	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(512 + 3, 0);
	world_map(&w, ROOT, VMALLOC, 2, W(l1));
	for (unsigned level = 3; level >= 2; level--)
		world_sync(&w);
	expect(512 + 3, 1);
	world_map(&w, ROOT, VMALLOC, 2, 0);
	world_sync(&w);
	expect(512 + 3, 0);
	/* Twice in the direct map: there it isn't linear any more. */
	world_map(&w, ROOT, DIRECT_BASE + FRAME(1024), 2, W(l1));
	world_sync(&w);
	expect(512 + 3, 1);
}
END_TEST

/* Tables in the direct map beyond the end of memory are one node, not thousands. */
START_TEST(direct_map_beyond_memory)
{
	uint64_t l1 = world_map(&w, ROOT, DIRECT_BASE + FRAME(FRAMES), 1, W(DATA));
	uint64_t l2 = world_table(&w, ROOT, DIRECT_BASE, 2);
	uint64_t before, after;

	for (unsigned i = FRAMES / 512; i < 512; i++)
		world_set(&w, l2, i, W(l1));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect(DATA, 1);
	before = world_stats(&w).memory_bytes;
	for (unsigned i = 1; i < 512; i++)
		world_map(&w, ROOT, DIRECT_BASE + ((uint64_t)i << 30), 3, W(l2));
	world_sync(&w);
	after = world_stats(&w).memory_bytes;
	ck_assert_uint_le(after - before, 4096);
	/* l1 also maps in the first 16 MiB of the second GiB and so on: outside, all one node. */
	expect(DATA, 1);
}
END_TEST

/* The L4 table as its own L3, L2 and L1. */
START_TEST(recursive_slot)
{
	world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	world_set(&w, ROOT, 510, W(ROOT));
	world_sync(&w);
	/* As L1 table the root maps itself and what it links to. */
	expect(ROOT, 1);
	expect(world_table(&w, ROOT, VMALLOC, 3), 1);
	expect(world_table(&w, ROOT, VMALLOC, 2), 1); /* by the L3 table as L1 */
	expect(world_table(&w, ROOT, VMALLOC, 1), 1);
	ck_assert_uint_gt(world_violations(&w, NULL), 0);
	expect(DATA, 1); /* the leaf is there once, however many ways lead to it */
	world_set(&w, ROOT, 510, 0);
	world_sync(&w);
	expect(ROOT, 0);
	expect(world_table(&w, ROOT, VMALLOC, 1), 0);
	expect(DATA, 1);
	ck_assert_uint_eq(world_stats(&w).tables, 4);
}
END_TEST

/* Every entry of every table links to that table: 512^4 ways, and four roles. */
START_TEST(all_loops)
{
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned i = 0; i < 512; i++)
		world_set(&w, ROOT, i, W(ROOT));
	world_sync(&w);
	/* As L1 table outside of the direct map, and in several places there: no leaf is exempt. */
	expect(ROOT, 512);
	for (unsigned i = 0; i < 512; i++)
		world_set(&w, ROOT, i, 0);
	world_sync(&w);
	expect(ROOT, 0);
}
END_TEST

START_TEST(one_table_at_two_levels)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	uint64_t l2 = world_table(&w, ROOT, VMALLOC, 2);
	uint64_t l3 = world_table(&w, ROOT, VMALLOC, 3);

	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	world_set(&w, l3, 100, W(l1)); /* the L1 table as L2: it links to DATA as L1 */
	world_set(&w, DATA, 9, W(DATA + 9));
	world_sync(&w);
	expect(DATA, 1);
	expect(DATA + 9, 1);
	ck_assert_uint_eq(world_stats(&w).tables, 5);
	world_set(&w, l2, va_index(VMALLOC, 2), 0);
	world_sync(&w);
	expect(DATA, 0);
	expect(DATA + 9, 1);
	/* An entry of a table with two roles changes. */
	world_set(&w, l2, va_index(VMALLOC, 2), W(l1));
	world_sync(&w);
	world_set(&w, l1, 0, W(DATA + 8));
	world_sync(&w);
	expect(DATA, 0);
	expect(DATA + 8, 1);
	expect(DATA + 9, 0);
}
END_TEST

START_TEST(outside_of_memory)
{
	struct at_violation v;

	world_map(&w, ROOT, VMALLOC, 1, W(FRAMES));
	world_map(&w, ROOT, VMALLOC + 0x1000, 1, W(0xffffffffffull));
	world_map(&w, ROOT, VMALLOC + (1 << 21), 2, W(FRAMES & ~511ull) | E_PS);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK); /* device memory: no alias of ours */
	ck_assert(!at_has_alias(w.at, FRAMES));
	ck_assert(!at_has_alias(w.at, UINT64_MAX));
	ck_assert_uint_eq(at_oracle(w.at, FRAMES, NULL, 0), 0);
	world_map(&w, ROOT, VMALLOC + (2 << 21), 2, W(FRAMES));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_int_eq(v.kind, AT_V_BAD_TABLE);
	ck_assert_uint_eq(v.pfn, FRAMES);
	ck_assert_uint_eq(v.va, VMALLOC + (2 << 21));
}
END_TEST

START_TEST(accessed_and_dirty_are_noise)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));

	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	world_set(&w, l1, 0, W(DATA) | E_A | E_D);
	world_set(&w, ROOT, va_index(VMALLOC, 4), world_get(&w, ROOT, va_index(VMALLOC, 4)) | E_A);
	world_sync(&w);
	expect(DATA, 1);
	ck_assert_uint_eq(world_stats(&w).entries_changed, 0);
	ck_assert_uint_eq(world_stats(&w).tables_changed, 0);
	world_set(&w, l1, 0, R(DATA) | E_A | E_D);
	world_sync(&w);
	expect(DATA, 0);
	ck_assert_uint_eq(world_stats(&w).entries_changed, 1);
}
END_TEST

Suite *leaf_suite(void)
{
	Suite *suite = suite_create("leaves");
	TCase *tcase = tcase_create("leaves");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, small_leaves);
	tcase_add_test(tcase, counts_are_exact);
	tcase_add_test(tcase, not_present_means_nothing);
	tcase_add_test(tcase, large_leaves_count_for_all_they_span);
	tcase_add_test(tcase, huge_leaves);
	tcase_add_test(tcase, permissions_combine_over_the_path);
	tcase_add_test(tcase, shared_table_with_two_rights);
	tcase_add_test(tcase, direct_map_is_exempt);
	tcase_add_test(tcase, table_in_and_outside_of_the_direct_map);
	tcase_add_test(tcase, direct_map_beyond_memory);
	tcase_add_test(tcase, recursive_slot);
	tcase_add_test(tcase, all_loops);
	tcase_add_test(tcase, one_table_at_two_levels);
	tcase_add_test(tcase, outside_of_memory);
	tcase_add_test(tcase, accessed_and_dirty_are_noise);
	suite_add_tcase(suite, tcase);
	return suite;
}

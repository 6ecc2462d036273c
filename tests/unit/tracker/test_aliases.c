/* SPDX-License-Identifier: MIT */
/* Where the aliases are: at_aliases() and at_oracle(). */
#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define ROOT_2 2
#define DATA   2000ull

static struct world w;
static struct at_alias found[64];

static void setup(void)
{
	world_open(&w, FRAMES);
}

static void teardown(void)
{
	world_close(&w);
}

static void check(const struct at_alias *alias, uint64_t va, uint64_t table, unsigned level,
		  bool user, bool exec)
{
	uint64_t gpa = FRAME(table) + va_index(va, level) * 8;

	ck_assert_uint_eq(alias->va, va);
	ck_assert_uint_eq(alias->pte_gpa, gpa);
	ck_assert_uint_eq(alias->pte, w.memory[gpa / 8]);
	ck_assert_uint_eq(alias->level, level);
	ck_assert_int_eq(alias->user, user);
	ck_assert_int_eq(alias->exec, exec);
}

/* One alias, and both agree about it. */
static void expect_one(uint64_t pfn, uint64_t va, uint64_t table, unsigned level, bool user,
		       bool exec)
{
	ck_assert_uint_eq(at_aliases(w.at, pfn, found, 64), 1);
	check(found, va, table, level, user, exec);
	ck_assert_uint_eq(at_oracle(w.at, pfn, found, 64), 1);
	check(found, va, table, level, user, exec);
}

START_TEST(none)
{
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 64), 0);
	ck_assert_uint_eq(at_aliases(w.at, UINT64_MAX, found, 64), 0);
	ck_assert_uint_eq(at_oracle(w.at, DATA, found, 64), 0);
	ck_assert_uint_eq(at_oracle(w.at, UINT64_MAX, found, 64), 0);
}
END_TEST

START_TEST(fields)
{
	uint64_t user_va = 0x7fff12345000, high = 0xfffffffffffff000;
	uint64_t table = world_map(&w, ROOT, VMALLOC + 0x5000, 1, W(DATA) | E_NX);

	world_map(&w, ROOT, VMALLOC + 0x6000, 1, R(DATA));
	world_map(&w, ROOT, user_va, 1, W(DATA + 1) | E_US);
	world_map(&w, ROOT, high, 1, W(DATA + 2));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect_one(DATA, VMALLOC + 0x5000, table, 1, false, false);
	expect_one(DATA + 1, user_va, world_table(&w, ROOT, user_va, 1), 1, true, true);
	expect_one(DATA + 2, high, world_table(&w, ROOT, high, 1), 1, false, true);
	/* User and execute combine over the path, as writing does. */
	table = world_table(&w, ROOT, user_va, 3);
	world_set(&w, table, va_index(user_va, 3),
		  (world_get(&w, table, va_index(user_va, 3)) & ~E_US) | E_NX);
	world_sync(&w);
	expect_one(DATA + 1, user_va, world_table(&w, ROOT, user_va, 1), 1, false, false);
}
END_TEST

START_TEST(large_leaves)
{
	uint64_t va = VMALLOC + (9ull << 30);
	uint64_t table = world_map(&w, ROOT, VMALLOC, 2, W(1024) | E_PS | 1 << 12);

	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect_one(1024, VMALLOC, table, 2, false, true);
	expect_one(1024 + 77, VMALLOC + 77 * 4096, table, 2, false, true);
	ck_assert_uint_eq(at_aliases(w.at, 1023, found, 64), 0);
	table = world_map(&w, ROOT, va, 3, W(0) | E_PS);
	world_sync(&w);
	ck_assert_uint_eq(at_aliases(w.at, 1024 + 77, found, 64), 2);
	ck_assert_uint_eq(at_oracle(w.at, 1024 + 77, found, 64), 2);
	expect_one(3000, va + FRAME(3000), table, 3, false, true);
	/* Reserved bits: no leaf, though the address below them is that of the frame. */
	world_map(&w, ROOT, VMALLOC + (1 << 21), 2, W(2560 + 4) | E_PS);
	world_map(&w, ROOT, va, 3, 0);
	world_sync(&w);
	ck_assert_uint_eq(at_aliases(w.at, 2560, found, 64), 0);
	ck_assert_uint_eq(at_oracle(w.at, 2560, found, 64), 0);
}
END_TEST

START_TEST(as_many_as_fit)
{
	for (unsigned i = 0; i < 20; i++)
		world_map(&w, ROOT, VMALLOC + ((uint64_t)i << 20), 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 0), 0);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 7), 7);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 64), 20);
	for (unsigned i = 0; i < 20; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_uint_ne(found[i].va, found[j].va);
	ck_assert_uint_eq(at_oracle(w.at, DATA, NULL, 0), 20);
	ck_assert_uint_eq(at_oracle(w.at, DATA, found, 7), 20);
}
END_TEST

START_TEST(last_changed_first)
{
	for (unsigned i = 0; i < 20; i++)
		world_map(&w, ROOT, VMALLOC + ((uint64_t)i << 21), 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned i = 0; i < 20; i++) {
		unsigned n = i * 7 % 20;
		uint64_t va = VMALLOC + ((uint64_t)n << 21);

		world_map(&w, ROOT, va + 0x3000, 1, W(DATA + 1));
		world_sync(&w);
		ck_assert_uint_eq(at_aliases(w.at, DATA, found, 1), 1);
		ck_assert_uint_eq(found->va, va);
	}
}
END_TEST

/* With places kept, the one that was mapped last comes first, while it is there. */
START_TEST(last_mapped_first)
{
	uint64_t l1[3];

	world_close(&w);
	world_init(&w, FRAMES);
	w.config.keep_places = true;
	world_start(&w);
	for (unsigned i = 0; i < 3; i++)
		l1[i] = world_map(&w, ROOT, VMALLOC + ((uint64_t)i << 21), 1, W(DATA + 1));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned i = 0; i < 3; i++) {
		world_set(&w, l1[i], 7, W(DATA));
		world_sync(&w);
		world_set(&w, l1[(i + 1) % 3], 100 + i, W(DATA + 2 + i));
		world_sync(&w);
		ck_assert_uint_eq(at_aliases(w.at, DATA, found, 1), 1);
		check(found, VMALLOC + ((uint64_t)i << 21) + 0x7000, l1[i], 1, false, true);
	}
	world_set(&w, l1[2], 7, W(DATA + 9));
	world_sync(&w);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 1), 1);
	ck_assert_uint_ne(found->pte_gpa, FRAME(l1[2]) + 7 * 8);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 64), 2);
	ck_assert_uint_eq(at_aliases(w.at, DATA + 10, found, 1), 0);
	ck_assert_uint_eq(at_aliases(w.at, FRAMES, found, 1), 0);
}
END_TEST

/* A leaf of a shared table once; the oracle counts each way. The address is one that writes. */
START_TEST(shared_tables)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	uint64_t l2 = world_map(&w, ROOT, VMALLOC + (1 << 21), 2, R(l1));

	world_set(&w, l2, 2, W(l1));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 64), 1);
	ck_assert_uint_eq(at_oracle(w.at, DATA, found, 64), 2);
	world_set(&w, l2, 0, R(l1));
	world_sync(&w);
	expect_one(DATA, VMALLOC + (2 << 21), l1, 1, false, true);
	world_set(&w, l2, 0, 0);
	world_set(&w, l2, 1, W(l1));
	world_set(&w, l2, 2, 0);
	world_sync(&w);
	expect_one(DATA, VMALLOC + (1 << 21), l1, 1, false, true);
	/* By the second root, when the first is gone. */
	world_set(&w, ROOT_2, 300, W(world_table(&w, ROOT, VMALLOC, 3)));
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	expect_one(DATA, (0xffff000000000000 | 300 * SLOT) + (1 << 21), l1, 1, false, true);
}
END_TEST

START_TEST(oracle_reads_memory_as_it_is)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));

	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	world_set(&w, l1, 0, W(DATA + 1));
	ck_assert_uint_eq(at_oracle(w.at, DATA, NULL, 0), 0);
	ck_assert_uint_eq(at_oracle(w.at, DATA + 1, NULL, 0), 1);
	ck_assert(at_has_alias(w.at, DATA));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, DATA + 1));
}
END_TEST

START_TEST(oracle_and_loops)
{
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned i = 0; i < 512; i++)
		world_set(&w, ROOT, i, W(ROOT));
	/* 511 slots of 512^3 leaves each; in the slot of the direct map one leaf is linear. */
	ck_assert_uint_eq(at_oracle(w.at, ROOT, found, 64), (1ull << 36) - 1);
	for (unsigned i = 0; i < 64; i++)
		ck_assert_uint_eq(found[i].va, i * 4096ull);
}
END_TEST

START_TEST(direct_map)
{
	uint64_t table = world_map(&w, ROOT, DIRECT_BASE + FRAME(512), 1, W(512));

	world_map(&w, ROOT, DIRECT_BASE + FRAME(513), 1, W(512));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	expect_one(512, DIRECT_BASE + FRAME(513), table, 1, false, true);
}
END_TEST

Suite *aliases_suite(void)
{
	Suite *suite = suite_create("aliases");
	TCase *tcase = tcase_create("aliases");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, none);
	tcase_add_test(tcase, fields);
	tcase_add_test(tcase, large_leaves);
	tcase_add_test(tcase, as_many_as_fit);
	tcase_add_test(tcase, last_changed_first);
	tcase_add_test(tcase, last_mapped_first);
	tcase_add_test(tcase, shared_tables);
	tcase_add_test(tcase, oracle_reads_memory_as_it_is);
	tcase_add_test(tcase, oracle_and_loops);
	tcase_add_test(tcase, direct_map);
	suite_add_tcase(suite, tcase);
	return suite;
}

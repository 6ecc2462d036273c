/* SPDX-License-Identifier: MIT */
/* Roots that are followed and not pinned, windows, and tables of five levels. */
#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define ROOT_2 2
#define DATA   2000ull
#define USER   0x7f0012345000ull

static struct world w;
static struct at_alias found[8];

static void setup(void)
{
	world_open(&w, FRAMES);
}

static void teardown(void)
{
	world_close(&w);
}

START_TEST(tree_counts_unpinned)
{
	world_map(&w, ROOT, USER, 1, W(DATA));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert(at_is_followed(w.at, ROOT));
	ck_assert_uint_eq(at_pinned_level(w.at, ROOT), 0);
	ck_assert(at_has_alias(w.at, DATA));
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 8), 1);
	ck_assert_uint_eq(found[0].va, USER);
	ck_assert_uint_eq(at_oracle(w.at, DATA, found, 8), 1);
	world_map(&w, ROOT, USER + 0x1000, 1, W(DATA));
	world_sync(&w);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 2);
	ck_assert_uint_eq(world_stats(&w).followed, 1);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
}
END_TEST

START_TEST(unfollowed_is_gone)
{
	world_map(&w, ROOT, USER, 1, W(DATA));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	w.clock = (struct at_clock){.cleared = 5, .flushed = 4};
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_OK);
	ck_assert(!at_is_followed(w.at, ROOT));
	ck_assert(!at_has_alias(w.at, DATA));
	ck_assert_uint_eq(world_stats(&w).tables, 0);
	ck_assert_uint_eq(at_oracle(w.at, DATA, found, 8), 0);
	/* a TLB may still hold what the root mapped */
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_STALE_TLB);
	at_flushed(w.at, UINT64_MAX);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK);
}
END_TEST

START_TEST(verdicts)
{
	ck_assert_int_eq(at_follow(w.at, FRAMES), AT_BAD_FRAME);
	ck_assert_int_eq(at_unfollow(w.at, FRAMES), AT_BAD_FRAME);
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_BAD_STATE);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_BAD_STATE);
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_OK);
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_BAD_STATE);
	ck_assert(!at_is_followed(w.at, UINT64_MAX));
	w.config.mode = AT_BLIND;
	at_free(w.at);
	world_start(&w);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_BAD_STATE);
}
END_TEST

/* Many, which go in another order. */
START_TEST(many_roots)
{
	world_map(&w, ROOT, USER, 1, W(DATA));
	for (uint64_t root = 1000; root < 1100; root++) {
		world_copy(&w, root, ROOT);
		ck_assert_int_eq(at_follow(w.at, root), AT_OK);
	}
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	ck_assert_uint_eq(at_oracle(w.at, DATA, NULL, 0), 100);
	for (uint64_t i = 0; i < 100; i++) {
		ck_assert(at_has_alias(w.at, DATA));
		ck_assert_int_eq(at_unfollow(w.at, 1000 + i * 37 % 100), AT_OK);
	}
	ck_assert(!at_has_alias(w.at, DATA));
}
END_TEST

START_TEST(links_are_not_judged)
{
	struct at_violation v;

	world_map(&w, ROOT, USER, 1, W(DATA));
	world_set(&w, ROOT, 3, W(FRAMES + 5)); /* outside of memory */
	world_set(&w, ROOT, 4, W(0) | E_PS);   /* reserved */
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	/* but mappings are, of what is pinned */
	ck_assert_int_eq(at_pin(w.at, 900, 1), AT_OK);
	world_map(&w, ROOT, USER + 0x1000, 1, W(900));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_int_eq(v.kind, AT_V_WRITABLE);
	ck_assert_uint_eq(v.va, USER + 0x1000);
	world_map(&w, ROOT_2, USER + 0x2000, 1, W(900));
	ck_assert_int_eq(at_follow(w.at, ROOT_2), AT_OK);
	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_uint_eq(v.va, USER + 0x2000);
}
END_TEST

/* A tree that is followed already is judged all the same when its root is to be pinned. */
START_TEST(pin_of_a_followed_root)
{
	world_map(&w, ROOT, USER, 1, W(DATA));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_CHILD_UNPINNED);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_uint_eq(at_oracle(w.at, DATA, NULL, 0), 1);
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_OK);
	ck_assert(at_has_alias(w.at, DATA));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	ck_assert(at_has_alias(w.at, DATA));
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_OK);
	ck_assert(!at_has_alias(w.at, DATA));
}
END_TEST

/* What a pinned root comes to link is judged from then on, with all that is below. */
START_TEST(judged_when_it_is_linked)
{
	struct at_violation v;
	uint64_t l3;

	world_map(&w, ROOT, USER, 1, W(DATA));
	l3 = world_table(&w, ROOT, USER, 3);
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_OK);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	world_set(&w, ROOT_2, 7, W(l3));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, &v), 3);
	ck_assert_int_eq(v.kind, AT_V_UNPINNED);
	ck_assert_uint_eq(world_stats(&w).violations, 3);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	/* not any more; and again */
	world_set(&w, ROOT_2, 7, 0);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	world_set(&w, ROOT_2, 7, W(l3));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 3);
}
END_TEST

struct tables {
	struct at_table table[16];
	unsigned nr;
};

static bool note_table(void *ctx, const struct at_table *table)
{
	struct tables *tables = ctx;

	tables->table[tables->nr++] = *table;
	return tables->nr < 16;
}

static const struct at_table *table_of(const struct tables *tables, uint64_t pfn)
{
	for (unsigned i = 0; i < tables->nr; i++)
		if (tables->table[i].pfn == pfn)
			return &tables->table[i];
	ck_abort_msg("no such table");
}

START_TEST(tables_with_their_levels)
{
	struct tables tables = {.nr = 0};
	uint64_t l1 = world_map(&w, ROOT, USER, 1, W(DATA));
	uint64_t l2 = world_table(&w, ROOT, USER, 2);

	world_set(&w, l2, 9, W(l2)); /* is walked as L1, too */
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert(at_for_each_table(w.at, note_table, &tables));
	ck_assert_uint_eq(tables.nr, 4);
	ck_assert_uint_eq(table_of(&tables, ROOT)->levels, 8);
	ck_assert(table_of(&tables, ROOT)->followed);
	ck_assert_uint_eq(table_of(&tables, l2)->levels, 3);
	ck_assert_uint_eq(table_of(&tables, l1)->levels, 1);
	ck_assert(!table_of(&tables, l1)->followed);
	tables.nr = 15;
	ck_assert(!at_for_each_table(w.at, note_table, &tables));
}
END_TEST

/* --- windows ---------------------------------------------------------------------------------- */

static struct at_window window(uint64_t base, uint64_t size, uint64_t gpa, bool exempt)
{
	return (struct at_window){"w", base, size, gpa, exempt};
}

static bool add(uint64_t base, uint64_t size, uint64_t gpa, bool exempt)
{
	struct at_window more = window(base, size, gpa, exempt);

	return at_add_window(w.at, &more);
}

#define M2     0x200000ull
#define KERNEL 0xffffffff80000000ull

static void no_windows(void)
{
	at_free(w.at);
	w.at = at_new(&w.config);
	ck_assert_ptr_nonnull(w.at);
}

START_TEST(windows_that_make_no_sense)
{
	struct at_window nameless = {NULL, KERNEL, M2, 0, false};

	no_windows();
	ck_assert(!at_add_window(w.at, &nameless));
	ck_assert(!add(KERNEL + 4096, M2, 0, true));
	ck_assert(!add(KERNEL, M2 + 4096, 0, true));
	ck_assert(!add(KERNEL, M2, 4096, true));
	ck_assert(!add(KERNEL, 0, 0, true));
	ck_assert(!add(0x0000800000000000, M2, 0, true));     /* not canonical */
	ck_assert(!add(0x00007fffffe00000, 2 * M2, 0, true)); /* leaves its half */
	ck_assert(!add(0xffffffffffe00000, 2 * M2, 0, true)); /* and the address space */
	ck_assert(!add(KERNEL + M2, 2 * M2, 0xffffffffffe00000, true));
	ck_assert(add(0xffffffffffe00000, M2, 0, true));
}
END_TEST

START_TEST(windows_that_overlap)
{
	no_windows();
	ck_assert(add(KERNEL, 4 * M2, 0, true));
	ck_assert(!add(KERNEL + M2, M2, 6 * M2, true)); /* by address */
	ck_assert(!add(KERNEL - M2, 2 * M2, 6 * M2, true));
	ck_assert(!add(VMALLOC, 4 * M2, 3 * M2, true)); /* by what belongs there */
	ck_assert(add(VMALLOC, 4 * M2, 4 * M2, true));
	ck_assert(add(KERNEL + M2, M2, 6 * M2, false)); /* a name only */
	ck_assert_ptr_null(at_window_of(w.at, KERNEL - 1));
	ck_assert_uint_eq(at_window_of(w.at, KERNEL + M2)->base, KERNEL);
	ck_assert_uint_eq(at_window_of(w.at, VMALLOC + M2)->gpa, 4 * M2);
	ck_assert_ptr_null(at_window_of(w.at, VMALLOC + 4 * M2));
	/* beyond the end of memory nothing is exempt, and nothing in the way */
	ck_assert(add(KERNEL + 8 * M2, M2, FRAMES << 12, true));
	ck_assert(add(KERNEL + 8 * M2, M2, FRAMES << 12, true));
}
END_TEST

START_TEST(windows_when_they_can_be_added)
{
	no_windows();
	for (unsigned i = 0; i < 8; i++)
		ck_assert(add(KERNEL + i * M2, M2, i * M2, true));
	ck_assert(!at_set_direct_map(w.at, DIRECT_BASE + M2, SLOT));
	ck_assert_ptr_nonnull(at_window_of(w.at, KERNEL));
	/* as many as there are frames for */
	ck_assert(!add(VMALLOC, M2, 7 * M2, true));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert(!at_set_direct_map(w.at, DIRECT_BASE, SLOT));
	for (unsigned i = 8; i < AT_WINDOWS_MAX; i++)
		ck_assert(add(KERNEL + i * M2, M2, 0, false));
	ck_assert(!add(VMALLOC, M2, 0, false));
	ck_assert_int_eq(at_unfollow(w.at, ROOT), AT_OK);
	ck_assert(at_set_direct_map(w.at, DIRECT_BASE, SLOT));
	ck_assert_ptr_null(at_window_of(w.at, KERNEL));
	ck_assert_str_eq(at_window_of(w.at, DIRECT_BASE)->name, "direct map");
}
END_TEST

/* As under KASLR: bases that are no multiple of what an L3 or L2 table maps, and tables that have
 * some of two windows in them. */
START_TEST(exempt_where_it_belongs)
{
	uint64_t base = 0xffff88e080000000 + 3 * M2;

	no_windows();
	ck_assert(add(base, 4 * M2, 2 * M2, true));
	ck_assert(add(base + 6 * M2, M2, 0, true));
	world_map(&w, ROOT, base + 0x5000, 1, W(1024 + 5));
	world_map(&w, ROOT, base + M2, 2, W(1536) | E_PS);
	world_map(&w, ROOT, base + 6 * M2 + 0x7000, 1, W(7));
	/* not what belongs there; next to the windows; what belongs to the other */
	world_map(&w, ROOT, base + 0x6000, 1, W(1024 + 5));
	world_map(&w, ROOT, base + 4 * M2, 2, W(2048 + 1024) | E_PS);
	world_map(&w, ROOT, base + 6 * M2 + 0x8000, 1, W(1024 + 8));
	world_map(&w, ROOT, base - 0x1000, 1, W(1023));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, 1024 + 5), 1);
	ck_assert_uint_eq(at_aliases(w.at, 1024 + 5, found, 8), 1);
	ck_assert_uint_eq(found[0].va, base + 0x6000);
	ck_assert(!at_has_alias(w.at, 1536));
	ck_assert(!at_has_alias(w.at, 7));
	ck_assert(at_has_alias(w.at, 2048 + 1024));
	ck_assert(at_has_alias(w.at, 1024 + 8));
	ck_assert(at_has_alias(w.at, 1023));
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++)
		ck_assert_uint_eq(at_alias_count(w.at, pfn), at_oracle(w.at, pfn, NULL, 0));
}
END_TEST

/* A table of the direct map is linked elsewhere, too, as Linux's trampoline does: its leaves are
 * aliases, at the other address. */
START_TEST(table_of_a_window_linked_elsewhere)
{
	uint64_t base = 0xffff88e080000000;
	uint64_t l2;

	no_windows();
	ck_assert(add(base, 8 * M2, 0, true));
	world_map(&w, ROOT, base + 4 * M2, 2, W(2048) | E_PS);
	l2 = world_table(&w, ROOT, base, 2);
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert(!at_has_alias(w.at, 2048));
	world_map(&w, ROOT_2, 0, 3, W(l2));
	ck_assert_int_eq(at_follow(w.at, ROOT_2), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, 2048 + 9), 1);
	ck_assert_uint_eq(at_aliases(w.at, 2048 + 9, found, 8), 1);
	ck_assert_uint_eq(found[0].va, 4 * M2 + 0x9000);
	ck_assert_uint_eq(at_oracle(w.at, 2048 + 9, found, 8), 1);
	ck_assert_uint_eq(found[0].va, 4 * M2 + 0x9000);
	ck_assert_int_eq(at_unfollow(w.at, ROOT_2), AT_OK);
	ck_assert(!at_has_alias(w.at, 2048));
}
END_TEST

/* --- five levels ------------------------------------------------------------------------------ */

static void five_levels(void)
{
	w.config.levels = 5;
	no_windows();
}

/* A root of five levels, whose entry `index` links one of four. */
static void root_of_five(uint64_t root, unsigned index, uint64_t four)
{
	world_set(&w, root, index, FRAME(four) | E_TABLE);
}

START_TEST(five_levels_addresses)
{
	five_levels();
	world_map(&w, ROOT, 0x00007f0012345000, 1, W(DATA));
	world_map(&w, ROOT, 0xffffff0012345000, 1, W(DATA + 1));
	root_of_five(900, 0, ROOT);
	root_of_five(901, 511, ROOT);
	root_of_five(902, 256, ROOT);
	ck_assert_int_eq(at_follow(w.at, 900), AT_OK);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 8), 1);
	ck_assert_uint_eq(found[0].va, 0x00007f0012345000);
	ck_assert_uint_eq(at_aliases(w.at, DATA + 1, found, 8), 1);
	ck_assert_uint_eq(found[0].va, 0x0000ff0012345000);
	ck_assert_int_eq(at_unfollow(w.at, 900), AT_OK);
	ck_assert_int_eq(at_follow(w.at, 901), AT_OK);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 8), 1);
	ck_assert_uint_eq(found[0].va, 0xffff7f0012345000);
	ck_assert_uint_eq(at_oracle(w.at, DATA, found, 8), 1);
	ck_assert_uint_eq(found[0].va, 0xffff7f0012345000);
	ck_assert_int_eq(at_unfollow(w.at, 901), AT_OK);
	ck_assert_int_eq(at_follow(w.at, 902), AT_OK);
	ck_assert_uint_eq(at_aliases(w.at, DATA, found, 8), 1);
	ck_assert_uint_eq(found[0].va, 0xff007f0012345000);
}
END_TEST

START_TEST(five_levels_direct_map)
{
	uint64_t base = 0xff11000000000000;

	five_levels();
	ck_assert(!at_set_direct_map(w.at, base + SLOT, SLOT));
	ck_assert(!at_set_direct_map(w.at, 0xffff880000000000, SLOT));
	ck_assert(at_set_direct_map(w.at, base, 1ull << 48));
	world_map(&w, ROOT, 5 * M2, 2, W(5 * 512) | E_PS);
	root_of_five(900, 273, ROOT);
	ck_assert_int_eq(at_follow(w.at, 900), AT_OK);
	ck_assert_uint_eq(at_window_of(w.at, base + 5 * M2)->base, base);
	ck_assert(!at_has_alias(w.at, 5 * 512));
	ck_assert_uint_eq(at_oracle(w.at, 5 * 512, NULL, 0), 0);
	root_of_five(900, 274, ROOT);
	world_sync(&w);
	ck_assert(at_has_alias(w.at, 5 * 512));
	ck_assert_uint_eq(at_aliases(w.at, 5 * 512, found, 8), 1);
	ck_assert_uint_eq(found[0].va, base + (1ull << 48) + 5 * M2);
}
END_TEST

START_TEST(five_levels_pins)
{
	five_levels();
	world_map(&w, ROOT, USER, 1, W(DATA));
	root_of_five(900, 0, ROOT);
	ck_assert_int_eq(at_pin(w.at, 900, 6), AT_BAD_LEVEL);
	ck_assert_int_eq(at_pin(w.at, 900, 5), AT_CHILD_UNPINNED);
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_CHILD_UNPINNED);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert(!at_has_alias(w.at, DATA)); /* an L4 is no root */
	ck_assert_int_eq(at_pin(w.at, 900, 5), AT_OK);
	ck_assert_uint_eq(at_pinned_level(w.at, 900), 5);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_BAD_STATE);
	ck_assert_int_eq(at_unpin(w.at, 900), AT_OK);
	ck_assert(!at_has_alias(w.at, DATA));
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	w.config.levels = 3;
	ck_assert_ptr_null(at_new(&w.config));
}
END_TEST

/* Linux's generic kernels link one table (espfix) from some 2,000 places: that makes it one table
 * in one role, and an entry of it that changes costs no more than if there were one link. */
START_TEST(table_linked_from_everywhere)
{
	uint64_t calls;

	no_windows();
	world_map(&w, ROOT, USER, 1, W(DATA));
	for (uint64_t l2 = 500; l2 < 504; l2++) {
		world_set(&w, 510, (unsigned)l2 - 500, W(l2));
		for (unsigned i = 0; i < 512; i++)
			world_set(&w, l2, i, W(499));
	}
	world_set(&w, 499, 5, W(DATA));
	world_set(&w, ROOT, 9, W(510));
	ck_assert_int_eq(at_follow(w.at, ROOT), AT_OK);
	ck_assert_uint_eq(world_stats(&w).tables, 4 + 1 + 4 + 1);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 2);
	ck_assert_uint_eq(at_oracle(w.at, DATA, NULL, 0), 1 + 4 * 512);
	ck_assert_uint_lt(world_stats(&w).memory_bytes, 64 * 1024);
	for (unsigned i = 0; i < 20; i++)
		world_sync(&w);
	calls = w.table_calls;
	world_set(&w, 499, 6, W(DATA));
	world_sync(&w);
	ck_assert_uint_le(w.table_calls - calls, world_stats(&w).tables);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 3);
}
END_TEST

Suite *follow_suite(void)
{
	Suite *suite = suite_create("follow");
	TCase *follow = tcase_create("follow"), *windows = tcase_create("windows");
	TCase *five = tcase_create("five levels");

	tcase_add_checked_fixture(follow, setup, teardown);
	tcase_add_test(follow, tree_counts_unpinned);
	tcase_add_test(follow, unfollowed_is_gone);
	tcase_add_test(follow, verdicts);
	tcase_add_test(follow, many_roots);
	tcase_add_test(follow, links_are_not_judged);
	tcase_add_test(follow, pin_of_a_followed_root);
	tcase_add_test(follow, judged_when_it_is_linked);
	tcase_add_test(follow, tables_with_their_levels);
	tcase_add_test(follow, table_linked_from_everywhere);
	suite_add_tcase(suite, follow);
	tcase_add_checked_fixture(windows, setup, teardown);
	tcase_add_test(windows, windows_that_make_no_sense);
	tcase_add_test(windows, windows_that_overlap);
	tcase_add_test(windows, windows_when_they_can_be_added);
	tcase_add_test(windows, exempt_where_it_belongs);
	tcase_add_test(windows, table_of_a_window_linked_elsewhere);
	suite_add_tcase(suite, windows);
	tcase_add_checked_fixture(five, setup, teardown);
	tcase_add_test(five, five_levels_addresses);
	tcase_add_test(five, five_levels_direct_map);
	tcase_add_test(five, five_levels_pins);
	suite_add_tcase(suite, five);
	return suite;
}

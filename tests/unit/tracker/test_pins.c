/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define ROOT_2 2
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

START_TEST(configuration)
{
	struct at_config config = w.config;
	struct at_ops ops = w.ops;

	config.ops = &ops;
	config.frames = 0;
	ck_assert_ptr_null(at_new(&config));
	ck_assert_int_eq(errno, EINVAL);
	config.frames = (1ull << 35) + 1;
	ck_assert_ptr_null(at_new(&config));
	config.frames = FRAMES;
	config.mode = (enum at_mode)17;
	ck_assert_ptr_null(at_new(&config));
	config.mode = AT_SCAN;
	ops.disarm = NULL;
	ck_assert_ptr_null(at_new(&config));
	ops.arm = NULL;
	ck_assert_ptr_null(at_new(&config));
	ops.dirtied = NULL;
	ops.clock = NULL;
	struct alias_tracker *at = at_new(&config);

	ck_assert_ptr_nonnull(at);
	at_free(at);
	ops.table = NULL;
	ck_assert_ptr_null(at_new(&config));
	config.ops = NULL;
	ck_assert_ptr_null(at_new(&config));
	at_free(NULL);
}
END_TEST

START_TEST(direct_map_arguments)
{
	ck_assert(!at_set_direct_map(w.at, DIRECT_BASE + 0x1000, SLOT));
	ck_assert(!at_set_direct_map(w.at, DIRECT_BASE, SLOT + 0x1000));
	ck_assert(!at_set_direct_map(w.at, DIRECT_BASE, 0));
	ck_assert(!at_set_direct_map(w.at, 0, SLOT));
	ck_assert(!at_set_direct_map(w.at, 1ull << 47, SLOT));
	ck_assert(!at_set_direct_map(w.at, 0xffffff8000000000ull, 2 * SLOT));
	ck_assert(at_set_direct_map(w.at, 0xffffff8000000000ull, SLOT));
	ck_assert(at_set_direct_map(w.at, 0xffff800000000000ull, 256 * SLOT));
	ck_assert(at_set_direct_map(w.at, DIRECT_BASE, 128 * SLOT));
	ck_assert_int_eq(at_pin(w.at, 5, 1), AT_OK);
	ck_assert(!at_set_direct_map(w.at, DIRECT_BASE, SLOT));
}
END_TEST

START_TEST(arguments)
{
	w.hole_begin = 100;
	w.hole_end = 200;
	ck_assert_int_eq(at_pin(w.at, FRAMES, 1), AT_BAD_FRAME);
	ck_assert_int_eq(at_pin(w.at, UINT64_MAX, 4), AT_BAD_FRAME);
	ck_assert_int_eq(at_pin(w.at, 150, 1), AT_BAD_FRAME);
	ck_assert_int_eq(at_pin(w.at, 5, 0), AT_BAD_LEVEL);
	ck_assert_int_eq(at_pin(w.at, 5, 5), AT_BAD_LEVEL);
	ck_assert_int_eq(at_pin(w.at, 5, UINT32_MAX), AT_BAD_LEVEL);
	ck_assert_int_eq(at_unpin(w.at, 5), AT_BAD_STATE);
	ck_assert_int_eq(at_unpin(w.at, FRAMES), AT_BAD_FRAME);
	ck_assert_int_eq(at_check(w.at, 5, 1), AT_OK);
	ck_assert_uint_eq(at_pinned_level(w.at, 5), 0); /* a check changes nothing */
	for (unsigned level = 1; level <= 4; level++) {
		ck_assert_int_eq(at_pin(w.at, 10 + level, level), AT_OK);
		ck_assert_uint_eq(at_pinned_level(w.at, 10 + level), level);
		for (unsigned again = 1; again <= 4; again++)
			ck_assert_int_eq(at_pin(w.at, 10 + level, again), AT_BAD_STATE);
	}
	ck_assert_uint_eq(world_stats(&w).pinned, 4);
	ck_assert_uint_eq(world_stats(&w).roots, 1);
	ck_assert_uint_eq(world_stats(&w).tables, 1);
	for (unsigned level = 1; level <= 4; level++) {
		ck_assert_int_eq(at_unpin(w.at, 10 + level), AT_OK);
		ck_assert_uint_eq(at_pinned_level(w.at, 10 + level), 0);
		ck_assert_int_eq(at_unpin(w.at, 10 + level), AT_BAD_STATE);
	}
	ck_assert_uint_eq(at_pinned_level(w.at, UINT64_MAX), 0);
}
END_TEST

START_TEST(refused_while_aliased)
{
	world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (unsigned level = 1; level <= 4; level++)
		ck_assert_int_eq(at_pin(w.at, DATA, level), AT_ALIAS);
	world_map(&w, ROOT, VMALLOC, 1, R(DATA));
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_ALIAS); /* by the last sync */
	world_sync(&w);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_OK); /* a read-only mapping may stay */
}
END_TEST

START_TEST(children)
{
	world_set(&w, 20, 3, W(30));
	ck_assert_int_eq(at_pin(w.at, 20, 2), AT_CHILD_UNPINNED);
	ck_assert_int_eq(at_pin(w.at, 30, 2), AT_OK);
	ck_assert_int_eq(at_pin(w.at, 20, 2), AT_CHILD_UNPINNED); /* pinned, at another level */
	ck_assert_int_eq(at_pin(w.at, 20, 3), AT_OK);
	world_set(&w, 21, 3, W(20));
	ck_assert_int_eq(at_pin(w.at, 21, 3), AT_CHILD_UNPINNED);
	ck_assert_int_eq(at_pin(w.at, 21, 4), AT_OK);
	/* Large leaves are no children, not even of frames that are pinned. */
	world_set(&w, 22, 0, W(512) | E_PS);
	ck_assert_int_eq(at_pin(w.at, 22, 2), AT_OK);
	world_set(&w, 23, 0, W(512) | E_PS); /* misaligned for 1 GiB */
	ck_assert_int_eq(at_pin(w.at, 23, 3), AT_BAD_TABLE);
	world_set(&w, 24, 0, W(FRAMES));
	ck_assert_int_eq(at_pin(w.at, 24, 2), AT_BAD_TABLE);
	/* L1 tables hold leaves only. */
	world_set(&w, 25, 0, W(FRAMES));
	world_set(&w, 25, 1, W(20) | E_PS);
	ck_assert_int_eq(at_pin(w.at, 25, 1), AT_OK);
}
END_TEST

START_TEST(roots_are_judged_whole)
{
	struct at_stats before, after;
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	uint64_t l3 = world_table(&w, ROOT, VMALLOC, 3);
	struct at_violation v;

	/* A table that is not pinned. */
	world_map(&w, ROOT_2, VMALLOC, 1, W(DATA + 1));
	ck_assert_int_eq(world_pin_tree(&w, ROOT_2), AT_OK);
	before = world_stats(&w);
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_CHILD_UNPINNED);
	after = world_stats(&w);
	before.memory_bytes = after.memory_bytes = 0; /* maps may have grown */
	ck_assert(!memcmp(&before, &after, sizeof(before)));
	ck_assert(!at_has_alias(w.at, DATA));
	/* A leaf that maps a pinned table, here: that of the other root. */
	world_set(&w, l1, 77, W(ROOT_2));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_MAPS_TABLE);
	ck_assert(!at_has_alias(w.at, DATA));
	ck_assert(!at_has_alias(w.at, ROOT_2));
	ck_assert_uint_eq(at_pinned_level(w.at, ROOT), 0);
	ck_assert_uint_eq(at_pinned_level(w.at, l3), 3); /* its own pin was granted */
	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_int_eq(v.kind, AT_V_WRITABLE);
	ck_assert_uint_eq(v.pfn, ROOT_2);
	ck_assert_uint_eq(v.va, VMALLOC + 77 * 4096);
	ck_assert_uint_eq(v.pte_gpa, FRAME(l1) + 77 * 8);
	ck_assert_uint_eq(v.level, 1);
	/* A leaf that maps the root that is being pinned. */
	world_set(&w, l1, 77, W(ROOT));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_MAPS_TABLE);
	/* Reserved bits. */
	world_set(&w, l1, 77, 0);
	world_set(&w, ROOT, 5, W(l3) | E_PS);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_BAD_TABLE);
	/* Itself: as L3 it is not pinned, as L1 it maps tables. */
	world_set(&w, ROOT, 5, R(ROOT));
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_CHILD_UNPINNED);
	world_set(&w, ROOT, 5, W(ROOT));
	ck_assert_int_ne(at_pin(w.at, ROOT, 4), AT_OK);
	world_set(&w, ROOT, 5, 0);
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_OK);
	ck_assert(at_has_alias(w.at, DATA));
}
END_TEST

/* What a refused root mapped was never followed: it leaves nothing TLB-pending. */
START_TEST(refused_root_leaves_no_trace)
{
	struct at_stats before, after;
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));

	world_map(&w, ROOT, VMALLOC + (1 << 21), 2, W(1024) | E_PS);
	world_set(&w, ROOT, 0, W(FRAMES));
	w.clock = (struct at_clock){.cleared = 7, .flushed = 3};
	world_sync(&w);
	ck_assert_int_eq(at_pin(w.at, l1, 1), AT_OK);
	ck_assert_int_eq(at_pin(w.at, world_table(&w, ROOT, VMALLOC, 2), 2), AT_OK);
	ck_assert_int_eq(at_pin(w.at, world_table(&w, ROOT, VMALLOC, 3), 3), AT_OK);
	before = world_stats(&w);
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_BAD_TABLE);
	after = world_stats(&w);
	before.memory_bytes = after.memory_bytes = 0; /* maps may have grown */
	ck_assert(!memcmp(&before, &after, sizeof(before)));
	world_sync(&w);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK);
	ck_assert_int_eq(at_check(w.at, 1030, 1), AT_OK);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	ck_assert_uint_eq(w.nr_armed, 0);
}
END_TEST

/* A refused root must not keep alive, nor take down, what it shares with another. */
START_TEST(refused_root_shares_tables)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	uint64_t l3 = world_table(&w, ROOT, VMALLOC, 3);

	world_set(&w, ROOT, va_index(VMALLOC, 4), R(l3)); /* reached read-only */
	world_set(&w, l1, 1, W(l3));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert(!at_has_alias(w.at, DATA));
	world_set(&w, ROOT_2, va_index(VMALLOC, 4), W(l3)); /* and here writably */
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_MAPS_TABLE);
	ck_assert(!at_has_alias(w.at, DATA));
	ck_assert_uint_eq(world_stats(&w).tables, 4);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK);
	/* Refused again as long as it is so, and that is said each time. */
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_MAPS_TABLE);
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
	world_set(&w, l1, 1, 0);
	world_sync(&w);
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_OK);
	ck_assert(at_has_alias(w.at, DATA));
}
END_TEST

/* A violation that was there before, in what two roots share, bars the second root. */
START_TEST(shared_violation_bars_the_next_root)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	uint64_t l3 = world_table(&w, ROOT, VMALLOC, 3);

	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	world_set(&w, l1, 1, W(l3));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
	world_set(&w, ROOT_2, va_index(VMALLOC, 4), W(l3));
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_MAPS_TABLE);
	ck_assert_int_eq(at_pin(w.at, 3, 4), AT_OK); /* has no part in it */
	world_set(&w, l1, 1, 0);
	world_sync(&w);
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_OK);
}
END_TEST

/* Processes share the kernel's tables: a new root costs its own tables, not those. */
START_TEST(shared_tables_are_not_read_again)
{
	uint64_t calls;

	for (unsigned i = 0; i < 100; i++)
		world_map(&w, ROOT, VMALLOC + ((uint64_t)i << 21), 1, W(DATA + i));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	world_copy(&w, ROOT_2, ROOT);
	calls = w.table_calls;
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_OK);
	ck_assert_uint_le(w.table_calls - calls, 3);
	ck_assert_uint_eq(world_stats(&w).tables, 104);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	ck_assert_uint_eq(world_stats(&w).tables, 103);
	ck_assert_int_eq(at_unpin(w.at, ROOT_2), AT_OK);
	ck_assert_uint_eq(world_stats(&w).tables, 0);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 0);
}
END_TEST

/* What a root leads to is read when the root is pinned, whatever its tables held when they were. */
START_TEST(tables_change_before_the_root_is_pinned)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA)), l2, l3;

	l2 = world_table(&w, ROOT, VMALLOC, 2);
	l3 = world_table(&w, ROOT, VMALLOC, 3);
	world_set(&w, l2, 511, W(3072) | E_PS);
	ck_assert_int_eq(at_pin(w.at, l1, 1), AT_OK);
	ck_assert_int_eq(at_pin(w.at, l2, 2), AT_OK);
	ck_assert_int_eq(at_pin(w.at, l3, 3), AT_OK);
	world_set(&w, l2, va_index(VMALLOC, 2), 0);
	world_set(&w, l2, 511, 0);
	world_set(&w, l2, 510, W(3584) | E_PS);
	ck_assert_int_eq(at_unpin(w.at, l1), AT_OK);
	ck_assert_int_eq(at_pin(w.at, 3072 + 5, 1), AT_OK);
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 0);
	ck_assert_int_eq(at_pin(w.at, 3584 + 5, 1), AT_ALIAS);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
}
END_TEST

START_TEST(linked_tables_stay_pinned)
{
	uint64_t l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	uint64_t l2 = world_table(&w, ROOT, VMALLOC, 2);
	uint64_t l3 = world_table(&w, ROOT, VMALLOC, 3);

	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, l1), AT_BAD_STATE);
	ck_assert_int_eq(at_unpin(w.at, l3), AT_BAD_STATE);
	world_set(&w, l2, va_index(VMALLOC, 2), 0);
	ck_assert_int_eq(at_unpin(w.at, l1), AT_BAD_STATE); /* by the last sync */
	world_sync(&w);
	ck_assert_int_eq(at_unpin(w.at, l1), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, l2), AT_BAD_STATE);
	/* Without its root the rest is not reachable. */
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, l3), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, l2), AT_OK);
	ck_assert_uint_eq(world_stats(&w).pinned, 0);
	ck_assert_uint_eq(world_stats(&w).tables, 0);
	/* And may be anything else now, at another level. */
	w.memory[512 * l3 + va_index(VMALLOC, 3)] = 0;
	ck_assert_int_eq(at_pin(w.at, l3, 1), AT_OK);
}
END_TEST

START_TEST(root_that_is_linked)
{
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_OK);
	world_set(&w, ROOT, 9, W(ROOT));
	world_sync(&w);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_BAD_STATE);
	world_set(&w, ROOT, 9, 0);
	world_sync(&w);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
}
END_TEST

/* A table that was linked too early can be pinned later, and all is well. */
START_TEST(pinned_after_it_was_linked)
{
	uint64_t l1;

	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_OK);
	l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 3);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1); /* counts all the same */
	ck_assert_int_eq(at_pin(w.at, l1, 1), AT_OK);
	ck_assert_int_eq(at_pin(w.at, world_table(&w, ROOT, VMALLOC, 2), 2), AT_OK);
	ck_assert_int_eq(at_pin(w.at, world_table(&w, ROOT, VMALLOC, 3), 3), AT_OK);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	/* A root that shares it is welcome now. */
	world_copy(&w, ROOT_2, ROOT);
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_OK);
}
END_TEST

START_TEST(many_roots)
{
	for (unsigned i = 0; i < 500; i++)
		ck_assert_int_eq(at_pin(w.at, 1000 + i, 4), AT_OK);
	ck_assert_uint_eq(world_stats(&w).roots, 500);
	for (unsigned i = 0; i < 500; i += 2)
		ck_assert_int_eq(at_unpin(w.at, 1000 + i), AT_OK);
	for (unsigned i = 0; i < 500; i++)
		ck_assert_uint_eq(at_pinned_level(w.at, 1000 + i), i % 2 ? 4 : 0);
	for (unsigned i = 1; i < 500; i += 2) {
		world_set(&w, 1000 + i, 0, W(16));
		world_set(&w, 16, 0, W(17));
		world_set(&w, 17, 0, W(18));
		world_set(&w, 18, i, W(DATA));
	}
	world_sync(&w);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 250);
	ck_assert_uint_eq(at_oracle(w.at, DATA, NULL, 0), 250 * 250); /* each way counts there */
}
END_TEST

START_TEST(blind)
{
	at_free(w.at);
	w.config.mode = AT_BLIND;
	world_start(&w);
	world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	ck_assert_int_eq(at_pin(w.at, ROOT, 4), AT_OK); /* with children that aren't */
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_OK); /* with an alias */
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_BAD_STATE);
	ck_assert_int_eq(at_pin(w.at, FRAMES, 1), AT_BAD_FRAME);
	ck_assert_int_eq(at_pin(w.at, 3, 5), AT_BAD_LEVEL);
	world_sync(&w);
	ck_assert(!at_has_alias(w.at, DATA));
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 0);
	ck_assert_uint_eq(world_stats(&w).tables, 0);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	struct at_alias alias;

	ck_assert_uint_eq(at_oracle(w.at, DATA, &alias, 1), 1);
	ck_assert_uint_eq(alias.va, VMALLOC);
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	ck_assert_uint_eq(at_oracle(w.at, DATA, &alias, 1), 0);
	ck_assert_int_eq(at_unpin(w.at, DATA), AT_OK);
	ck_assert_int_eq(at_unpin(w.at, DATA), AT_BAD_STATE);
}
END_TEST

/* Followed as ever, and pinned all the same; what else is wrong with a pin still is. */
START_TEST(aliased_is_granted)
{
	at_free(w.at);
	w.config.grant_aliased = true;
	world_start(&w);
	world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_ALIAS);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_OK);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_BAD_STATE);
	world_copy(&w, ROOT_2, ROOT);
	ck_assert_int_eq(at_pin(w.at, ROOT_2, 4), AT_OK); /* a tree that maps a table */
	world_set(&w, world_table(&w, ROOT, VMALLOC, 1), va_index(VMALLOC, 1), W(DATA + 1));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0); /* that was there first is no violation */
	ck_assert_int_eq(at_check(w.at, DATA + 1, 1), AT_ALIAS);
	w.clock.cleared = w.clock.flushed + 1;
	world_set(&w, world_table(&w, ROOT, VMALLOC, 1), va_index(VMALLOC, 1), 0);
	world_sync(&w);
	ck_assert_int_eq(at_check(w.at, DATA + 1, 1), AT_STALE_TLB);
	ck_assert_int_eq(at_pin(w.at, DATA + 1, 1), AT_OK);
	world_set(&w, DATA + 2, 0, W(DATA + 3));
	ck_assert_int_eq(at_pin(w.at, DATA + 2, 2), AT_CHILD_UNPINNED);
}
END_TEST

START_TEST(names)
{
	for (int i = -1; i < 20; i++) {
		ck_assert_ptr_nonnull(at_verdict_name((enum at_verdict)i));
		ck_assert_ptr_nonnull(at_violation_name((enum at_violation_kind)i));
	}
	ck_assert_str_ne(at_verdict_name(AT_OK), at_verdict_name(AT_ALIAS));
}
END_TEST

Suite *pin_suite(void)
{
	Suite *suite = suite_create("pins");
	TCase *tcase = tcase_create("pins");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, configuration);
	tcase_add_test(tcase, direct_map_arguments);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, refused_while_aliased);
	tcase_add_test(tcase, children);
	tcase_add_test(tcase, roots_are_judged_whole);
	tcase_add_test(tcase, refused_root_leaves_no_trace);
	tcase_add_test(tcase, refused_root_shares_tables);
	tcase_add_test(tcase, shared_violation_bars_the_next_root);
	tcase_add_test(tcase, shared_tables_are_not_read_again);
	tcase_add_test(tcase, tables_change_before_the_root_is_pinned);
	tcase_add_test(tcase, linked_tables_stay_pinned);
	tcase_add_test(tcase, root_that_is_linked);
	tcase_add_test(tcase, pinned_after_it_was_linked);
	tcase_add_test(tcase, many_roots);
	tcase_add_test(tcase, blind);
	tcase_add_test(tcase, aliased_is_granted);
	tcase_add_test(tcase, names);
	suite_add_tcase(suite, tcase);
	return suite;
}

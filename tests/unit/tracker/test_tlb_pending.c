/* SPDX-License-Identifier: MIT */
/* Aliases that are gone from the tables, and may not be gone from the TLBs. */
#include "suites.h"
#include "world.h"

#define FRAMES 32768ull
#define ROOT   1
#define DATA   20000ull

static struct world w;
static uint64_t l1;

static void setup(void)
{
	world_open(&w, FRAMES);
	for (unsigned i = 0; i < 10; i++)
		l1 = world_map(&w, ROOT, VMALLOC + i * 4096, 1, W(DATA + i));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
}

static void teardown(void)
{
	world_close(&w);
}

static enum at_verdict verdict(unsigned i)
{
	return at_check(w.at, DATA + i, 1);
}

START_TEST(waits_for_evidence)
{
	w.clock = (struct at_clock){.cleared = 5, .flushed = 4};
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_STALE_TLB);
	ck_assert_int_eq(at_pin(w.at, DATA, 4), AT_STALE_TLB);
	ck_assert_int_eq(verdict(1), AT_ALIAS);
	ck_assert_int_eq(verdict(20), AT_OK); /* never had one */
	w.clock.flushed = 5;
	ck_assert_int_eq(verdict(0), AT_STALE_TLB); /* the clock is read by syncs */
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
}
END_TEST

START_TEST(flushed_before_it_was_seen)
{
	w.clock = (struct at_clock){.cleared = 5, .flushed = 5};
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
}
END_TEST

/* A flush counts for what was cleared before it, not for what went later. */
START_TEST(stamps_are_kept_apart)
{
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	w.clock.cleared = 2;
	world_set(&w, l1, 1, 0);
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	ck_assert_int_eq(verdict(1), AT_STALE_TLB);
	w.clock.flushed = 1;
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
	ck_assert_int_eq(verdict(1), AT_STALE_TLB);
	w.clock.flushed = 2;
	world_sync(&w);
	ck_assert_int_eq(verdict(1), AT_OK);
}
END_TEST

START_TEST(aliases_that_come_back)
{
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	world_set(&w, l1, 100, W(DATA)); /* elsewhere: says nothing of the first */
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_ALIAS);
	w.clock.cleared = 9;
	world_set(&w, l1, 100, 0);
	world_sync(&w);
	w.clock.flushed = 1;
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	w.clock.flushed = 9;
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
}
END_TEST

/* From one entry to another, in one table and between tables, in either order. */
START_TEST(moved_in_one_sync)
{
	uint64_t other = world_map(&w, ROOT, VMALLOC + (1 << 21), 1, W(DATA + 20));

	ck_assert_int_eq(at_pin(w.at, other, 1), AT_OK);
	world_sync(&w);
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	world_set(&w, l1, 0, 0);
	world_set(&w, l1, 200, W(DATA));
	world_set(&w, l1, 201, W(DATA + 1));
	world_set(&w, l1, 1, 0);
	world_set(&w, l1, 2, 0);
	world_set(&w, other, 2, W(DATA + 2));
	world_set(&w, other, 0, 0);
	world_set(&w, l1, 220, W(DATA + 20));
	world_sync(&w);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(verdict(i), AT_ALIAS);
	ck_assert_int_eq(verdict(20), AT_ALIAS);
	/* No stamp stayed behind, so no evidence is waited for. */
	w.clock = (struct at_clock){.cleared = 0, .flushed = 0};
	world_set(&w, l1, 200, 0);
	world_set(&w, l1, 220, 0);
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
	ck_assert_int_eq(verdict(20), AT_OK);
}
END_TEST

START_TEST(weakened_rights)
{
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	world_set(&w, l1, 0, R(DATA));
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	world_map(&w, ROOT, VMALLOC, 2, R(l1)); /* of all at once */
	world_sync(&w);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(verdict(i), AT_STALE_TLB);
	at_flushed(w.at, UINT64_MAX);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(verdict(i), AT_OK);
}
END_TEST

START_TEST(large_leaves)
{
	world_map(&w, ROOT, VMALLOC + (1 << 21), 2, W(8192) | E_PS);
	world_set(&w, l1, 0, W(8192 + 5));
	world_sync(&w);
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	world_map(&w, ROOT, VMALLOC + (1 << 21), 2, 0);
	world_sync(&w);
	ck_assert_int_eq(at_check(w.at, 8191, 1), AT_OK);
	ck_assert_int_eq(at_check(w.at, 8192, 1), AT_STALE_TLB);
	ck_assert_int_eq(at_check(w.at, 8192 + 511, 1), AT_STALE_TLB);
	ck_assert_int_eq(at_check(w.at, 8192 + 512, 1), AT_OK);
	ck_assert_int_eq(at_check(w.at, 8192 + 5, 1), AT_ALIAS); /* has the small one still */
	w.clock = (struct at_clock){.cleared = 2, .flushed = 1};
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	ck_assert_int_eq(at_check(w.at, 8192, 1), AT_OK);
	ck_assert_int_eq(at_check(w.at, 8192 + 5, 1), AT_STALE_TLB);
}
END_TEST

/* The guest knows better than the sync could under which epoch the alias went. */
START_TEST(gone_by_an_earlier_epoch)
{
	w.clock = (struct at_clock){.cleared = 7, .flushed = 6};
	world_set(&w, l1, 0, 0);
	world_set(&w, l1, 1, 0);
	world_sync(&w);
	at_gone_by(w.at, DATA, TO_TABLE, 8); /* no earlier than known */
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	at_gone_by(w.at, DATA, TO_TABLE, 6);
	ck_assert_int_eq(verdict(0), AT_OK);
	ck_assert_int_eq(verdict(1), AT_STALE_TLB);
	at_gone_by(w.at, DATA + 5, TO_TABLE, 1); /* was never TLB-pending: nothing to say */
	ck_assert_int_eq(verdict(5), AT_ALIAS);
}
END_TEST

START_TEST(no_clock)
{
	teardown();
	world_init(&w, FRAMES);
	w.ops.clock = NULL;
	world_start(&w);
	l1 = world_map(&w, ROOT, VMALLOC, 1, W(DATA));
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	at_flushed(w.at, UINT64_MAX);
	ck_assert_int_eq(verdict(0), AT_OK);
}
END_TEST

START_TEST(host_flush)
{
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	world_set(&w, l1, 1, 0); /* not seen before the flush: the flush is no evidence for it */
	at_flushed(w.at, UINT64_MAX);
	ck_assert_int_eq(verdict(0), AT_OK);
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
	ck_assert_int_eq(verdict(1), AT_STALE_TLB);
}
END_TEST

START_TEST(unpinned_root)
{
	w.clock = (struct at_clock){.cleared = 3, .flushed = 2};
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	ck_assert_int_eq(verdict(9), AT_STALE_TLB);
	ck_assert_int_eq(verdict(10), AT_OK);
	w.clock.flushed = 3;
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
}
END_TEST

/* A root that is refused is forgotten as if it had never been; one that was unpinned before is not,
 * whether or not a sync comes between. */
START_TEST(unpinned_and_another_refused)
{
	uint64_t table = world_table(&w, ROOT, VMALLOC, 1);

	w.clock = (struct at_clock){.cleared = 3, .flushed = 2};
	ck_assert_int_eq(at_unpin(w.at, ROOT), AT_OK);
	world_set(&w, ROOT + 1, 0, W(DATA + 20)); /* unpinned */
	ck_assert_int_eq(at_pin(w.at, ROOT + 1, 4), AT_CHILD_UNPINNED);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_STALE_TLB);
	ck_assert_int_eq(at_unpin(w.at, table), AT_OK); /* no root: nothing goes with it */
	ck_assert_int_eq(verdict(20), AT_OK);
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	w.clock.flushed = 3;
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
}
END_TEST

/* More than fit: all frames are TLB-pending then, until there is evidence for all of it. */
START_TEST(overflow)
{
	enum { PAGES = 6000 };

	for (unsigned i = 0; i < PAGES; i++)
		world_map(&w, ROOT, VMALLOC + SLOT + i * 4096ull, 1, W(8192 + i));
	world_sync(&w);
	ck_assert(at_has_alias(w.at, 8192 + PAGES - 1));
	ck_assert_int_eq(verdict(30), AT_OK);
	w.clock = (struct at_clock){.cleared = 7, .flushed = 6};
	for (unsigned i = 0; i < PAGES; i++)
		world_map(&w, ROOT, VMALLOC + SLOT + i * 4096ull, 1, 0);
	world_sync(&w);
	for (unsigned i = 0; i < PAGES; i++)
		ck_assert_int_eq(at_check(w.at, 8192 + i, 1), AT_STALE_TLB);
	ck_assert_int_eq(verdict(30), AT_STALE_TLB); /* innocent, and refused all the same */
	/* Later ones have stamps of their own again. */
	w.clock.cleared = 8;
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	w.clock.flushed = 7;
	world_sync(&w);
	ck_assert_int_eq(verdict(30), AT_OK);
	ck_assert_int_eq(at_check(w.at, 8192, 1), AT_OK);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	w.clock.flushed = 8;
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK);
}
END_TEST

/* The same, a few with every sync. */
START_TEST(slow_overflow)
{
	enum { PAGES = 6000, STEP = 100 };

	for (unsigned i = 0; i < PAGES; i++)
		world_map(&w, ROOT, VMALLOC + SLOT + i * 4096ull, 1, W(8192 + i));
	world_sync(&w);
	uint64_t before = world_stats(&w).memory_bytes;

	for (unsigned i = 0; i < PAGES; i++) {
		world_map(&w, ROOT, VMALLOC + SLOT + i * 4096ull, 1, 0);
		w.clock.cleared = w.clock.now = 1 + i;
		if (i % STEP == STEP - 1)
			world_sync(&w);
	}
	for (unsigned i = 0; i < PAGES; i++) {
		ck_assert_int_eq(at_check(w.at, 8192 + i, 1), AT_STALE_TLB);
		ck_assert_uint_gt(at_gone_at(w.at, 8192 + i, TO_TABLE), 0);
	}
	ck_assert_uint_le(world_stats(&w).memory_bytes, before + 2 * 8192 * 16 + 4096 * 8);
	w.clock.flushed = PAGES;
	world_sync(&w);
	for (unsigned i = 0; i < PAGES; i++)
		ck_assert_int_eq(at_check(w.at, 8192 + i, 1), AT_OK);
}
END_TEST

/* By the owner's clock: a flush counts for what was found gone before it, frame by frame. */
START_TEST(flushed_since)
{
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0, .now = 5};
	ck_assert_uint_eq(at_gone_at(w.at, DATA, TO_TABLE), 0);
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	w.clock.now = 6;
	world_set(&w, l1, 1, 0);
	world_sync(&w);
	ck_assert_uint_eq(at_gone_at(w.at, DATA, TO_TABLE), 5);
	ck_assert_uint_eq(at_gone_at(w.at, DATA + 1, TO_TABLE), 6);
	at_flushed(w.at, 5); /* began when the first was still there, for all that is known */
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	at_flushed(w.at, 6);
	ck_assert_int_eq(verdict(0), AT_OK);
	ck_assert_uint_eq(at_gone_at(w.at, DATA, TO_TABLE), 0);
	ck_assert_int_eq(verdict(1), AT_STALE_TLB);
	at_flushed(w.at, 5); /* older news */
	ck_assert_int_eq(verdict(0), AT_OK);
	at_flushed(w.at, 7);
	ck_assert_int_eq(verdict(1), AT_OK);
	world_set(&w, l1, 2, 0); /* the flush was before this */
	w.clock.now = 7;
	world_sync(&w);
	ck_assert_int_eq(verdict(2), AT_STALE_TLB);
	ck_assert_uint_eq(at_gone_at(w.at, DATA + 2, TO_TABLE), 7);
}
END_TEST

/* Either clock is evidence, each by itself. */
START_TEST(two_clocks)
{
	w.clock = (struct at_clock){.cleared = 3, .flushed = 2, .now = 9};
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	w.clock = (struct at_clock){.cleared = 4, .flushed = 3, .now = 9};
	world_set(&w, l1, 1, 0);
	world_sync(&w);
	ck_assert_int_eq(verdict(0), AT_OK); /* the guest's */
	ck_assert_uint_eq(at_gone_at(w.at, DATA, TO_TABLE), 0);
	ck_assert_int_eq(verdict(1), AT_STALE_TLB);
	at_flushed(w.at, 10);
	ck_assert_int_eq(verdict(1), AT_OK);
}
END_TEST

/* An alias that came back and went again is as young as that. */
START_TEST(gone_twice)
{
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0, .now = 1};
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	world_set(&w, l1, 0, W(DATA));
	world_sync(&w);
	w.clock.now = 4;
	world_set(&w, l1, 0, 0);
	world_sync(&w);
	ck_assert_uint_eq(at_gone_at(w.at, DATA, TO_TABLE), 4);
	at_flushed(w.at, 4);
	ck_assert_int_eq(verdict(0), AT_STALE_TLB);
	at_flushed(w.at, 5);
	ck_assert_int_eq(verdict(0), AT_OK);
}
END_TEST

Suite *tlb_pending_suite(void)
{
	Suite *suite = suite_create("tlb_pending");
	TCase *tcase = tcase_create("tlb_pending");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, waits_for_evidence);
	tcase_add_test(tcase, flushed_before_it_was_seen);
	tcase_add_test(tcase, stamps_are_kept_apart);
	tcase_add_test(tcase, aliases_that_come_back);
	tcase_add_test(tcase, moved_in_one_sync);
	tcase_add_test(tcase, weakened_rights);
	tcase_add_test(tcase, large_leaves);
	tcase_add_test(tcase, gone_by_an_earlier_epoch);
	tcase_add_test(tcase, no_clock);
	tcase_add_test(tcase, host_flush);
	tcase_add_test(tcase, unpinned_root);
	tcase_add_test(tcase, unpinned_and_another_refused);
	tcase_add_test(tcase, overflow);
	tcase_add_test(tcase, slow_overflow);
	tcase_add_test(tcase, flushed_since);
	tcase_add_test(tcase, two_clocks);
	tcase_add_test(tcase, gone_twice);
	suite_add_tcase(suite, tcase);
	return suite;
}

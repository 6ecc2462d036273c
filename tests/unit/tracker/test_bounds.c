/* SPDX-License-Identifier: MIT */
/* What a guest can make the tracker hold and do at the very worst, and that a sync can be stopped.
 */
#include "../../../alias-tracker/internal.h"
#include "fault.h"
#include "suites.h"
#include "world.h"

#define FRAMES    (1ull << 18) /* 1 GiB */
#define QUADS     100u
#define FIRST     16u
#define PER_TABLE (4096u + 1024u)
#define PER_ROLE  160u /* each level beyond the first at which a table is walked */

static struct world w;
static bool stop;

static void setup(void)
{
	stop = false;
	world_init(&w, FRAMES);
	w.config.stop = &stop;
	world_start(&w);
}

static void teardown(void)
{
	world_close(&w);
}

/* Two bits a frame of counts and what a region has with it, where there is a leaf or a table. */
static uint64_t memory_allowed(const struct at_stats *stats, uint64_t empty, uint64_t regions)
{
	return empty + stats->tables * PER_TABLE + regions * sizeof(struct region);
}

/* Trees of four frames: the L2 table links its L1 table at every 2 MiB of the direct map. */
static void build_quads(bool linked)
{
	for (unsigned i = 0; i < QUADS; i++) {
		uint64_t l4 = FIRST + i * 4, l3 = l4 + 1, l2 = l4 + 2, l1 = l4 + 3;

		world_set(&w, l4, 273, linked ? W(l3) : 0);
		world_set(&w, l3, 0, W(l2));
		for (unsigned j = 0; j < 512; j++) {
			world_set(&w, l2, j, W(l1));
			world_set(&w, l1, j, W(5));
		}
	}
}

static void pin_quads(void)
{
	for (unsigned i = 0; i < QUADS; i++)
		for (unsigned level = 1; level <= 4; level++)
			ck_assert_int_eq(at_pin(w.at, FIRST + i * 4 + 4 - level, level), AT_OK);
}

/* Legal tables, all of them pinned: memory and work are those of the tables, not of the places at
 * which they are reached. */
START_TEST(a_table_at_many_places)
{
	uint64_t empty = world_stats(&w).memory_bytes, compared;
	struct at_stats stats;

	build_quads(false);
	pin_quads();
	world_sync(&w);
	build_quads(true);
	compared = world_stats(&w).tables_compared;
	world_sync(&w);
	stats = world_stats(&w);
	ck_assert_uint_eq(stats.tables, QUADS * 4);
	ck_assert_uint_le(stats.tables_compared - compared, QUADS * 4);
	ck_assert_uint_le(stats.memory_bytes, memory_allowed(&stats, empty, 1));
	ck_assert_uint_eq(at_alias_count(w.at, 5),
			  QUADS * 512); /* one is at its own place, and others */
	for (unsigned i = 0; i < QUADS; i++)
		ck_assert_int_eq(at_unpin(w.at, FIRST + i * 4), AT_OK);
	ck_assert(!at_has_alias(w.at, 5));
}
END_TEST

/* One table in each 2 MiB, walked at all four levels, and a leaf of each in a 2 MiB of its own. */
START_TEST(tables_far_apart)
{
	uint64_t empty = world_stats(&w).memory_bytes;
	unsigned nr = FRAMES / 1024;
	struct at_stats stats;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t table = (uint64_t)i * 1024 + 100;

		world_set(&w, table, 0, W(table));
		world_set(&w, table, 1, W(table + 512));
		for (unsigned group = 2; group < 512; group += 64)
			world_set(&w, table, group, R(table + group));
		ck_assert_int_eq(at_pin(w.at, table, 4), AT_CHILD_UNPINNED);
	}
	w.config.grant_aliased = true;
	at_free(w.at);
	world_start(&w);
	for (unsigned i = 0; i < nr; i++)
		ck_assert_int_eq(at_pin(w.at, (uint64_t)i * 1024 + 100, 4), AT_OK);
	stats = world_stats(&w);
	ck_assert_uint_ge(stats.tables, nr);
	/* each of its tables, and those that its entries link to by mistake, at up to three levels
	 * more */
	ck_assert_uint_le(stats.memory_bytes, memory_allowed(&stats, empty, FRAMES / 512) +
						      stats.tables * 3 * PER_ROLE);
}
END_TEST

/* Every entry of very many tables breaks a rule: so many are not remembered. */
START_TEST(violations_everywhere)
{
	unsigned nr = 65536 / 512 + 100;
	struct at_stats stats;
	uint64_t empty;

	world_map(&w, 1, VMALLOC, 1, R(5));
	ck_assert_int_eq(at_pin(w.at, 5, 1), AT_OK);
	ck_assert_int_eq(world_pin_tree(&w, 1), AT_OK);
	empty = world_stats(&w).memory_bytes;
	for (unsigned i = 0; i < nr; i++) {
		for (unsigned j = 0; j < 512; j++)
			world_set(&w, 1024 + i, j, W(5));
		ck_assert_int_eq(at_pin(w.at, 1024 + i, 1), AT_OK);
		world_set(&w, world_table(&w, 1, VMALLOC, 2), i + 1, W(1024 + i));
	}
	world_sync(&w);
	stats = world_stats(&w);
	ck_assert_uint_eq(stats.violations, nr * 512);
	ck_assert_uint_le(stats.memory_bytes, memory_allowed(&stats, empty, 2) + (2u << 20));
	for (unsigned i = 0; i < nr; i++)
		world_set(&w, world_table(&w, 1, VMALLOC, 2), i + 1, 0);
	world_sync(&w);
	ck_assert_uint_le(world_stats(&w).memory_bytes, empty + (256u << 10));
}
END_TEST

static bool log_is_busy(void *ctx, uint64_t *entries, size_t *nr)
{
	(void)ctx;
	(void)entries;
	*nr = 0;
	return false;
}

/* A log that says nothing of what happens in very many tables, and is never known to the end: so
 * many mismatches are not kept. Those that are, are reported. */
START_TEST(mismatches_everywhere)
{
	unsigned kept = 65536 / 512, nr = kept + 100;
	bool (*log_pending)(void *, uint64_t *, size_t *) = w.ops.log_pending;
	struct at_stats stats;
	uint64_t quiet;

	at_free(w.at);
	w.config.mode = AT_LOGGED;
	w.config.audit_syncs = 1;
	world_start(&w);
	world_map(&w, 1, VMALLOC, 1, R(5));
	for (unsigned i = 0; i < nr; i++) {
		for (unsigned j = 0; j < 512; j++)
			world_set(&w, 1024 + i, j, R(5));
		ck_assert_int_eq(at_pin(w.at, 1024 + i, 1), AT_OK);
		world_set(&w, world_table(&w, 1, VMALLOC, 2), i + 1, W(1024 + i));
	}
	ck_assert_int_eq(world_pin_tree(&w, 1), AT_OK);
	world_sync(&w);
	quiet = world_stats(&w).memory_bytes;
	w.at->ops.log_pending = log_is_busy;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < nr; i++)
			for (unsigned j = 0; j < 512; j++)
				world_store(&w, 1024 + i, j, R(6 + round));
		world_sync(&w);
		stats = world_stats(&w);
		ck_assert_uint_le(stats.memory_bytes, quiet + (4u << 20));
		ck_assert_uint_eq(stats.log_losses, 1);
		ck_assert_uint_eq(stats.log_mismatches, 0);
	}
	w.at->ops.log_pending = log_pending;
	world_sync(&w);
	stats = world_stats(&w);
	ck_assert_uint_eq(stats.log_mismatches, kept * 512);
	ck_assert_uint_eq(stats.memory_bytes, quiet);
}
END_TEST

/* What is linked by very many entries is reached at several places, whatever the sums say. */
START_TEST(sums_are_exact)
{
	struct links links = {0};

	ck_assert_uint_eq(links_place(&links), PLACE_NONE);
	for (unsigned i = 1; i <= 1000; i++) {
		links_add(&links, 1u << 26);
		ck_assert_uint_eq(links_place(&links), 1u << 26);
	}
	links_add(&links, (1u << 26) - 1);
	ck_assert_uint_eq(links_place(&links), PLACE_OUTSIDE);
	for (unsigned i = 1; i <= 1000; i++)
		links_drop(&links, 1u << 26);
	ck_assert_uint_eq(links_place(&links), (1u << 26) - 1);
	/* the same mean: 1, 2, 3 are not 2, 2, 2 */
	links = (struct links){0};
	for (unsigned i = 1; i <= 3; i++)
		links_add(&links, i);
	ck_assert_uint_eq(links_place(&links), PLACE_OUTSIDE);
	links_add(&links, PLACE_OUTSIDE);
	links_drop(&links, 1);
	links_drop(&links, 3);
	ck_assert_uint_eq(links_place(&links), PLACE_OUTSIDE);
	links_drop(&links, PLACE_OUTSIDE);
	ck_assert_uint_eq(links_place(&links), 2);
	/* as many as there can't be */
	links = (struct links){.placed = LINKS_EXACT};
	ck_assert_uint_eq(links_place(&links), PLACE_OUTSIDE);
}
END_TEST

/* The guest's table is asked for: the owner wants it to stop just then. */
static bool stop_at_arm(void *ctx, uint64_t pfn)
{
	(void)ctx;
	(void)pfn;
	stop = true;
	return false;
}

START_TEST(a_sync_that_is_stopped_has_failed)
{
	world_set(&w, 1, 402, W(2));
	for (unsigned i = 0; i < 300; i++)
		world_map(&w, 1, VMALLOC + ((uint64_t)i << 21), 1, W(5));
	ck_assert_int_eq(world_pin_tree(&w, 1), AT_OK);
	ck_assert_uint_eq(at_alias_count(w.at, 5), 300);
	for (unsigned i = 0; i < 300; i++)
		world_map(&w, 1, VMALLOC + ((uint64_t)i << 21), 1, W(6));
	stop = true;
	ck_assert(!at_sync(w.at));
	ck_assert_int_eq(at_check(w.at, 1000, 1), AT_NO_MEMORY);
	ck_assert_int_eq(at_pin(w.at, 1000, 4), AT_NO_MEMORY);
	stop = false;
	ck_assert(at_sync(w.at));
	ck_assert_uint_eq(at_alias_count(w.at, 5), 0);
	ck_assert_uint_eq(at_alias_count(w.at, 6), 300);
	ck_assert_int_eq(at_check(w.at, 1000, 1), AT_OK);
}
END_TEST

/* In the midst of it: what was done by then is as it should be, and the next sync does the rest. */
START_TEST(a_sync_is_stopped_between_two_tables)
{
	uint64_t compared;

	at_free(w.at);
	w.ops.arm = stop_at_arm;
	w.config.quiet_syncs = 1;
	world_start(&w);
	for (unsigned i = 0; i < 300; i++)
		world_map(&w, 1, VMALLOC + ((uint64_t)i << 21), 1, W(5));
	ck_assert_int_eq(world_pin_tree(&w, 1), AT_OK);
	compared = world_stats(&w).tables_compared;
	for (unsigned i = 0; i < 300; i++)
		world_map(&w, 1, VMALLOC + ((uint64_t)i << 21), 1, W(6));
	ck_assert(!at_sync(w.at)); /* the root has not changed: it is to be armed */
	ck_assert(stop);
	ck_assert_uint_eq(world_stats(&w).tables_compared - compared, 1);
	stop = false;
	for (unsigned i = 0; i < 10 && !at_sync(w.at); i++)
		stop = false;
	ck_assert_uint_eq(at_alias_count(w.at, 5), 0);
	ck_assert_uint_eq(at_alias_count(w.at, 6), 300);
}
END_TEST

/* Nothing is followed any more, but for what an unfollow that was stopped has left. */
START_TEST(windows_while_tables_are_left)
{
	world_map(&w, 1, VMALLOC, 1, W(5));
	ck_assert_int_eq(at_follow(w.at, 1), AT_OK);
	stop = true;
	ck_assert_int_eq(at_unfollow(w.at, 1), AT_OK);
	stop = false;
	ck_assert(!at_set_direct_map(w.at, DIRECT_BASE + SLOT, SLOT));
	world_sync(&w);
	ck_assert(at_set_direct_map(w.at, DIRECT_BASE + SLOT, SLOT));
}
END_TEST

static void stop_at_table(struct world *world)
{
	(void)world;
	stop = true;
}

/* A sync was stopped when a tree was unlinked, and had not come to what it mapped. The root that is
 * followed next comes to that, and then has no memory for itself: what is gone stays TLB-pending.
 */
START_TEST(gone_between_a_stop_and_a_failure)
{
	enum at_verdict verdict = AT_NO_MEMORY;
	unsigned n = 0;

	w.at->max_spare = 0; /* each table is an allocation */
	world_map(&w, 1, VMALLOC, 1, W(5));
	world_map(&w, 2, VMALLOC, 1, W(6));
	ck_assert_int_eq(world_pin_tree(&w, 1), AT_OK);
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	world_set(&w, 1, va_index(VMALLOC, 4), 0);
	w.meanwhile = stop_at_table;
	ck_assert(!at_sync(w.at));
	w.meanwhile = NULL;
	stop = false;
	ck_assert_uint_eq(at_alias_count(w.at, 5), 1);
	while (verdict != AT_OK) {
		fault_set(++n, false);
		verdict = at_follow(w.at, 2);
		fault_set(0, false);
		ck_assert(verdict == AT_OK || verdict == AT_NO_MEMORY);
	}
	ck_assert_uint_gt(n, 3);
	ck_assert_uint_eq(at_alias_count(w.at, 5), 0);
	ck_assert_int_eq(at_check(w.at, 5, 1), AT_NO_MEMORY);
	world_sync(&w);
	ck_assert_int_eq(at_check(w.at, 5, 1), AT_STALE_TLB);
	at_flushed(w.at, UINT64_MAX);
	ck_assert_int_eq(at_check(w.at, 5, 1), AT_OK);
}
END_TEST

/* A root is stopped on its way in, and on its way out. */
START_TEST(roots_are_stopped)
{
	for (unsigned i = 0; i < 50; i++)
		world_map(&w, 1, VMALLOC + ((uint64_t)i << 21), 1, W(5));
	stop = true;
	ck_assert_int_eq(at_pin(w.at, 1, 4), AT_NO_MEMORY);
	ck_assert(!at_pinned_level(w.at, 1));
	ck_assert_int_eq(at_check(w.at, 1000, 1), AT_NO_MEMORY);
	stop = false;
	ck_assert(at_sync(w.at));
	ck_assert_uint_eq(world_stats(&w).tables, 0);
	ck_assert_int_eq(world_pin_tree(&w, 1), AT_OK);
	stop = true;
	ck_assert_int_eq(at_unpin(w.at, 1), AT_OK);
	ck_assert_int_eq(at_check(w.at, 1000, 1), AT_NO_MEMORY);
	stop = false;
	ck_assert(at_sync(w.at));
	ck_assert(!at_has_alias(w.at, 5));
	ck_assert_uint_eq(world_stats(&w).tables, 0);
	ck_assert_int_eq(at_check(w.at, 1000, 1), AT_OK);
}
END_TEST

Suite *bounds_suite(void)
{
	Suite *suite = suite_create("bounds");
	TCase *tcase = tcase_create("bounds");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_table_at_many_places);
	tcase_add_test(tcase, tables_far_apart);
	tcase_add_test(tcase, sums_are_exact);
	tcase_add_test(tcase, a_sync_that_is_stopped_has_failed);
	tcase_add_test(tcase, a_sync_is_stopped_between_two_tables);
	tcase_add_test(tcase, windows_while_tables_are_left);
	tcase_add_test(tcase, violations_everywhere);
	tcase_add_test(tcase, mismatches_everywhere);
	tcase_add_test(tcase, gone_between_a_stop_and_a_failure);
	tcase_add_test(tcase, roots_are_stopped);
	suite_add_tcase(suite, tcase);
	return suite;
}

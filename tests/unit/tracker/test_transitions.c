/* SPDX-License-Identifier: MIT */
/* Frames that become something else than page tables: memory of another type, the host's. */
#include "fault.h"
#include "suites.h"
#include "world.h"

#define FRAMES 4096ull
#define ROOT   1
#define DATA   2000ull
#define E_PWT  0x08ull /* with the others: the type of a leaf */
#define E_PCD  0x10ull
#define E_PAT  0x80ull

static struct world w;
static uint64_t l1; /* maps VMALLOC */

static void setup(void)
{
	world_open(&w, FRAMES);
	l1 = world_map(&w, ROOT, VMALLOC, 1, 0);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert(at_count_all(w.at));
}

static void teardown(void)
{
	world_close(&w);
}

/* Writes an entry of l1, and has it seen. */
static void set(unsigned index, uint64_t pte)
{
	world_set(&w, l1, index, pte);
	world_sync(&w);
}

static uint64_t va_of(unsigned index)
{
	return VMALLOC + index * 4096ull;
}

START_TEST(arguments)
{
	w.hole_begin = 100;
	w.hole_end = 200;
	ck_assert_int_eq(at_become(w.at, FRAMES, TO_HOST), AT_BAD_FRAME);
	ck_assert_int_eq(at_become(w.at, UINT64_MAX, TO_TYPE(1)), AT_BAD_FRAME);
	ck_assert_int_eq(at_become(w.at, 150, TO_HOST), AT_BAD_FRAME);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(8)), AT_BAD_MEMTYPE);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(UINT32_MAX)), AT_BAD_MEMTYPE);
	ck_assert_int_eq(at_deflate(w.at, DATA), AT_BAD_STATE);
	ck_assert_int_eq(at_deflate(w.at, UINT64_MAX), AT_BAD_FRAME);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_OK);
	ck_assert(!at_is_ballooned(w.at, DATA)); /* a check changes nothing */
	ck_assert(!at_is_ballooned(w.at, UINT64_MAX));
	ck_assert(!at_is_mapped(w.at, UINT64_MAX));
	ck_assert_uint_eq(at_mapping_count(w.at, UINT64_MAX), 0);
	ck_assert_uint_eq(at_memtype(w.at, UINT64_MAX), 0);
}
END_TEST

/* A frame is one thing at a time. */
START_TEST(states_exclude_each_other)
{
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_OK);
	ck_assert(at_is_ballooned(w.at, DATA));
	ck_assert_uint_eq(at_pinned_level(w.at, DATA), 0);
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_IS_BALLOONED);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(1)), AT_IS_BALLOONED);
	for (unsigned level = 1; level <= 4; level++)
		ck_assert_int_eq(at_pin(w.at, DATA, level), AT_IS_BALLOONED);
	ck_assert_int_eq(at_unpin(w.at, DATA), AT_BAD_STATE);
	ck_assert_int_eq(at_deflate(w.at, DATA), AT_OK);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(3)), AT_OK);
	ck_assert_uint_eq(at_memtype(w.at, DATA), 3);
	ck_assert_uint_eq(at_pinned_level(w.at, DATA), 0);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_BAD_STATE);
	ck_assert_int_eq(at_unpin(w.at, DATA), AT_BAD_STATE);
	ck_assert_int_eq(at_deflate(w.at, DATA), AT_BAD_STATE);
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_BAD_STATE);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(1)), AT_OK);
	ck_assert_uint_eq(at_memtype(w.at, DATA), 1);
	ck_assert_uint_eq(world_stats(&w).memtyped, 1);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(0)), AT_OK);
	ck_assert_uint_eq(world_stats(&w).memtyped, 0);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_OK);
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_BAD_STATE);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(1)), AT_BAD_STATE);
	ck_assert_int_eq(at_unpin(w.at, DATA), AT_OK);
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_OK);
	ck_assert_uint_eq(world_stats(&w).ballooned, 1);
	ck_assert_uint_eq(world_stats(&w).pinned, 4);
}
END_TEST

/* Roots are moved about in their list as others go: what else is in the map stays as it is. */
START_TEST(states_beside_roots)
{
	for (uint64_t pfn = 100; pfn < 110; pfn++) {
		ck_assert_int_eq(at_pin(w.at, pfn, 4), AT_OK);
		ck_assert_int_eq(at_become(w.at, pfn + 100, TO_HOST), AT_OK);
		ck_assert_int_eq(at_become(w.at, pfn + 200, TO_TYPE(pfn % 8)), AT_OK);
	}
	for (uint64_t pfn = 100; pfn < 110; pfn++)
		ck_assert_int_eq(at_unpin(w.at, pfn), AT_OK);
	for (uint64_t pfn = 100; pfn < 110; pfn++) {
		ck_assert(at_is_ballooned(w.at, pfn + 100));
		ck_assert_uint_eq(at_memtype(w.at, pfn + 200), pfn % 8);
	}
	ck_assert_uint_eq(world_stats(&w).roots, 1);
}
END_TEST

/* A table that is walked, pinned or not, is not given. */
START_TEST(tables_stay_tables)
{
	ck_assert_int_eq(at_become(w.at, ROOT, TO_HOST), AT_BAD_STATE);
	ck_assert_int_eq(at_become(w.at, l1, TO_HOST), AT_BAD_STATE);
	world_map(&w, ROOT, VMALLOC + (5 << 21), 2, W(DATA)); /* never pinned */
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 1);
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_BAD_STATE);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(1)), AT_BAD_STATE);
	world_map(&w, ROOT, VMALLOC + (5 << 21), 2, 0);
	world_sync(&w);
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_OK);
}
END_TEST

static void expect_in_the_way(uint64_t pfn, struct at_transition to, uint64_t va)
{
	struct at_alias found[2];

	ck_assert_int_eq(at_may(w.at, pfn, to), AT_ALIAS);
	ck_assert_int_eq(at_become(w.at, pfn, to), AT_ALIAS);
	ck_assert_uint_eq(at_in_the_way(w.at, pfn, to, found, 2), 1);
	ck_assert_uint_eq(found[0].va, va);
	ck_assert_uint_eq(at_oracle_of(w.at, pfn, to, found, 2), 1);
	ck_assert_uint_eq(found[0].va, va);
}

static void expect_clean(uint64_t pfn, struct at_transition to)
{
	struct at_alias found;

	ck_assert_int_eq(at_may(w.at, pfn, to), AT_OK);
	ck_assert_uint_eq(at_in_the_way(w.at, pfn, to, &found, 1), 0);
	ck_assert_uint_eq(at_oracle_of(w.at, pfn, to, &found, 1), 0);
}

START_TEST(read_only_mappings)
{
	set(3, R(DATA));
	ck_assert(at_is_mapped(w.at, DATA));
	ck_assert(!at_has_alias(w.at, DATA));
	ck_assert_uint_eq(at_mapping_count(w.at, DATA), 1);
	expect_in_the_way(DATA, TO_HOST, va_of(3));
	expect_in_the_way(DATA, TO_TYPE(1), va_of(3));
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK);
	set(4, W(DATA));
	ck_assert_uint_eq(at_mapping_count(w.at, DATA), 2);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	set(3, 0);
	set(4, 0);
	expect_clean(DATA, TO_HOST);
}
END_TEST

/* Nothing leads there writably, but it can be read. */
START_TEST(read_only_paths)
{
	set(3, W(DATA));
	world_map(&w, ROOT, VMALLOC, 2, R(l1));
	world_sync(&w);
	ck_assert(!at_has_alias(w.at, DATA));
	ck_assert_uint_eq(at_mapping_count(w.at, DATA), 1);
	expect_in_the_way(DATA, TO_HOST, va_of(3));
	world_map(&w, ROOT, VMALLOC, 2, W(l1));
	world_sync(&w);
	ck_assert_uint_eq(at_alias_count(w.at, DATA), 1);
	ck_assert_uint_eq(at_mapping_count(w.at, DATA), 1);
}
END_TEST

START_TEST(large_leaves)
{
	uint64_t va = VMALLOC + (5 << 21);

	world_map(&w, ROOT, va, 2, R(2048) | E_PS);
	world_sync(&w);
	ck_assert(at_is_mapped(w.at, 2048) && at_is_mapped(w.at, 2048 + 511));
	ck_assert(!at_is_mapped(w.at, 2047) && !at_is_mapped(w.at, 2048 + 512));
	expect_in_the_way(2048 + 7, TO_HOST, va + 7 * 4096);
	ck_assert_int_eq(at_check(w.at, 2048 + 7, 1), AT_OK);
	expect_in_the_way(2048 + 7, TO_TYPE(4), va + 7 * 4096);
	world_map(&w, ROOT, va, 2, R(2048) | E_PS | 1 << 12); /* PAT of large leaves */
	world_sync(&w);
	expect_clean(2048 + 7, TO_TYPE(4));
	expect_in_the_way(2048 + 7, TO_TYPE(0), va + 7 * 4096);
}
END_TEST

/* Every type, as an L1 entry says it. */
START_TEST(types)
{
	unsigned type = _i;
	uint64_t flags = (type & 1 ? E_PWT : 0) | (type & 2 ? E_PCD : 0) | (type & 4 ? E_PAT : 0);

	set(3, W(DATA) | flags);
	for (unsigned to = 0; to < 8; to++) {
		if (to == type)
			expect_clean(DATA, TO_TYPE(to));
		else
			expect_in_the_way(DATA, TO_TYPE(to), va_of(3));
	}
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(type)), AT_OK);
	ck_assert_uint_eq(at_memtype(w.at, DATA), type);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), type ? AT_BAD_STATE : AT_ALIAS);
}
END_TEST

/* In the direct map a frame may be mapped whatever it is. */
START_TEST(direct_map)
{
	world_map(&w, ROOT, DIRECT_BASE + DATA * 4096, 1, W(DATA));
	ck_assert_int_eq(at_pin(w.at, world_table(&w, ROOT, DIRECT_BASE + DATA * 4096, 1), 1),
			 AT_OK);
	world_sync(&w);
	world_violations(&w, NULL);
	ck_assert(!at_is_mapped(w.at, DATA));
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(1)), AT_OK);
	world_map(&w, ROOT, DIRECT_BASE + DATA * 4096, 1, W(DATA) | E_PWT);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	/* Another frame of it, at that place, is no direct map. */
	world_map(&w, ROOT, DIRECT_BASE + DATA * 4096, 1, W(DATA + 1));
	world_sync(&w);
	expect_in_the_way(DATA + 1, TO_HOST, DIRECT_BASE + DATA * 4096);
}
END_TEST

/* --- without counting ------------------------------------------------------------------------- */

START_TEST(refused_before_all_are_counted)
{
	struct at_alias found;

	at_free(w.at);
	world_start(&w);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	set(3, R(DATA));
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_NO_MEMORY);
	ck_assert_int_eq(at_become(w.at, DATA + 1, TO_TYPE(1)), AT_NO_MEMORY);
	ck_assert(!at_is_mapped(w.at, DATA));
	ck_assert_uint_eq(at_in_the_way(w.at, DATA, TO_HOST, &found, 1), 0);
	size_t before = world_stats(&w).memory_bytes;

	ck_assert(at_count_all(w.at));
	ck_assert(at_count_all(w.at));
	ck_assert_uint_gt(world_stats(&w).memory_bytes, before);
	ck_assert_uint_eq(at_mapping_count(w.at, DATA), 1);
	expect_in_the_way(DATA, TO_HOST, va_of(3));
	ck_assert_int_eq(at_become(w.at, DATA + 1, TO_HOST), AT_OK);
}
END_TEST

/* A read-only mapping that went before anybody counted may be in a TLB. */
START_TEST(uncounted_may_be_in_a_tlb)
{
	at_free(w.at);
	world_start(&w);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	set(3, R(DATA));
	w.clock = (struct at_clock){.cleared = 1, .flushed = 0};
	set(3, 0);
	ck_assert(at_count_all(w.at));
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_STALE_TLB);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK);
	w.clock.flushed = 1;
	world_sync(&w);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_OK);
	w.clock.cleared = 2;
	ck_assert(at_count_all(w.at)); /* they were all the time */
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_OK);
}
END_TEST

START_TEST(blind)
{
	at_free(w.at);
	w.config.mode = AT_BLIND;
	world_start(&w);
	ck_assert(at_count_all(w.at));
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_OK);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_IS_BALLOONED);
	ck_assert_int_eq(at_become(w.at, DATA + 1, TO_TYPE(3)), AT_OK);
	ck_assert_int_eq(at_deflate(w.at, DATA), AT_OK);
}
END_TEST

START_TEST(granted_in_spite_of_it)
{
	at_free(w.at);
	w.config.grant_aliased = true;
	world_start(&w);
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	ck_assert(at_count_all(w.at));
	set(3, R(DATA));
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_ALIAS);
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_OK);
}
END_TEST

/* --- TLBs ------------------------------------------------------------------------------------- */

START_TEST(read_only_mappings_in_a_tlb)
{
	w.clock = (struct at_clock){.cleared = 1, .flushed = 1};
	set(3, R(DATA));
	w.clock.cleared = 2;
	set(3, 0);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_STALE_TLB);
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(1)), AT_STALE_TLB);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK); /* it could only be read */
	ck_assert_int_eq(at_may(w.at, DATA + 1, TO_HOST), AT_OK);
	w.clock.flushed = 2;
	world_sync(&w);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_OK);
}
END_TEST

/* The order in which the two go doesn't matter. */
START_TEST(both_kinds_in_a_tlb)
{
	unsigned first = _i ? 3 : 4;

	set(3, R(DATA));
	set(4, W(DATA));
	w.clock = (struct at_clock){.cleared = 2, .flushed = 1};
	set(first, 0);
	w.clock.cleared = 3;
	set(7 - first, 0);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_STALE_TLB);
	w.clock.flushed = 2;
	world_sync(&w);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_STALE_TLB);
	ck_assert_int_eq(at_check(w.at, DATA, 1), _i ? AT_STALE_TLB : AT_OK);
	w.clock.flushed = 3;
	world_sync(&w);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_OK);
}
END_TEST

START_TEST(weakened_and_gone)
{
	set(3, W(DATA));
	w.clock = (struct at_clock){.cleared = 2, .flushed = 1};
	set(3, R(DATA));
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_STALE_TLB);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_ALIAS);
	w.clock = (struct at_clock){.cleared = 3, .flushed = 2};
	set(3, 0);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_STALE_TLB);
	at_flushed(w.at, UINT64_MAX);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_OK);
}
END_TEST

/* The frame is mapped as it should be, and was otherwise: elsewhere, or at the same place; or the
 * one came as the other went. */
START_TEST(another_type_in_a_tlb)
{
	if (_i < 2)
		set(3, W(DATA));
	if (_i == 0)
		set(4, W(DATA) | E_PWT);
	if (_i == 2)
		set(4, W(DATA));
	w.clock = (struct at_clock){.cleared = 2, .flushed = 1};
	if (_i == 2) { /* gone before the other is there, in the order of entries */
		world_set(&w, l1, 5, W(DATA) | E_PWT);
		set(4, 0);
	} else {
		set(3, _i ? W(DATA) | E_PWT : 0);
	}
	ck_assert_int_eq(at_may(w.at, DATA, TO_TYPE(1)), AT_STALE_TLB);
	w.clock.flushed = 2;
	world_sync(&w);
	ck_assert_int_eq(at_may(w.at, DATA, TO_TYPE(1)), AT_OK);
	/* Others that are not mapped needn't wait for such. */
	w.clock.cleared = 3;
	set(6, W(DATA) | E_PWT);
	set(6, 0);
	ck_assert_int_eq(at_may(w.at, DATA, TO_TYPE(1)), AT_STALE_TLB);
	ck_assert_int_eq(at_may(w.at, DATA + 1, TO_TYPE(1)), AT_OK);
	ck_assert_int_eq(at_may(w.at, DATA + 1, TO_HOST), AT_OK);
	at_flushed(w.at, UINT64_MAX);
	ck_assert_int_eq(at_may(w.at, DATA, TO_TYPE(1)), AT_OK);
}
END_TEST

/* A word about what was in the way of a pin says nothing of read-only mappings. */
START_TEST(gone_by)
{
	set(3, R(DATA));
	set(4, W(DATA));
	w.clock = (struct at_clock){.cleared = 7, .flushed = 6};
	set(3, 0);
	set(4, 0);
	at_gone_by(w.at, DATA, TO_TABLE, 6);
	ck_assert_int_eq(at_check(w.at, DATA, 1), AT_OK);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_STALE_TLB);
	at_gone_by(w.at, DATA, TO_HOST, 6);
	ck_assert_int_eq(at_may(w.at, DATA, TO_HOST), AT_OK);
	set(5, R(DATA));
	w.clock.cleared = 8;
	set(5, 0);
	ck_assert_int_eq(at_may(w.at, DATA, TO_TYPE(1)), AT_STALE_TLB);
	at_gone_by(w.at, DATA, TO_TYPE(1), 6);
	ck_assert_int_eq(at_may(w.at, DATA, TO_TYPE(1)), AT_OK);
	at_gone_by(w.at, DATA, TO_TYPE(1), 0);
	ck_assert_int_eq(at_may(w.at, DATA, TO_TYPE(1)), AT_OK);
}
END_TEST

/* --- violations ------------------------------------------------------------------------------- */

static void expect_violation(enum at_violation_kind kind, uint64_t pfn, uint64_t va)
{
	struct at_violation v;

	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_int_eq(v.kind, kind);
	ck_assert_uint_eq(v.pfn, pfn);
	ck_assert_uint_eq(v.va, va);
}

START_TEST(mapping_a_given_frame)
{
	ck_assert_int_eq(at_become(w.at, DATA, TO_HOST), AT_OK);
	set(3, _i ? W(DATA) : R(DATA));
	expect_violation(AT_V_BALLOONED, DATA, va_of(3));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	set(3, 0);
	ck_assert_int_eq(at_deflate(w.at, DATA), AT_OK);
	set(3, R(DATA));
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
}
END_TEST

START_TEST(mapping_with_another_type)
{
	ck_assert_int_eq(at_become(w.at, DATA, TO_TYPE(3)), AT_OK);
	set(3, R(DATA) | E_PCD | E_PWT);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	set(4, R(DATA) | E_PCD);
	expect_violation(AT_V_MEMTYPE, DATA, va_of(4));
	set(3, R(DATA) | E_PWT);
	expect_violation(AT_V_MEMTYPE, DATA, va_of(3));
	set(5, W(DATA + 1) | E_PCD); /* whose memory type was never set */
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
}
END_TEST

/* One that was reported, and was put right without the entry being touched, is in the way of
 * something else now. */
START_TEST(from_one_violation_to_another)
{
	struct at_violation v;
	uint64_t l2 = world_table(&w, ROOT, VMALLOC, 2);

	world_set(&w, l2, va_index(VMALLOC, 2), R(l1));
	world_sync(&w);
	ck_assert_int_eq(at_become(w.at, DATA, _i ? TO_TYPE(3) : TO_HOST), AT_OK);
	set(9, W(DATA)); /* not by this path */
	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_int_eq(v.kind, _i ? AT_V_MEMTYPE : AT_V_BALLOONED);
	ck_assert_int_eq(_i ? at_become(w.at, DATA, TO_TYPE(0)) : at_deflate(w.at, DATA), AT_OK);
	ck_assert_int_eq(at_pin(w.at, DATA, 1), AT_OK);
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, NULL), 0);
	world_set(&w, l2, va_index(VMALLOC, 2), W(l1));
	world_sync(&w);
	ck_assert_uint_eq(world_violations(&w, &v), 1);
	ck_assert_int_eq(v.kind, AT_V_WRITABLE);
	ck_assert_uint_eq(v.pfn, DATA);
	ck_assert_uint_eq(v.va, va_of(9));
}
END_TEST

START_TEST(large_leaf_over_a_given_frame)
{
	uint64_t va = VMALLOC + (5 << 21);

	ck_assert_int_eq(at_become(w.at, 2048 + 9, TO_HOST), AT_OK);
	ck_assert_int_eq(at_pin(w.at, 2048 + 8, 1), AT_OK);
	world_map(&w, ROOT, va, 2, R(2048) | E_PS);
	world_sync(&w);
	expect_violation(AT_V_BALLOONED, 2048 + 9, va);
	world_map(&w, ROOT, va, 2, W(2048) | E_PS);
	world_sync(&w);
	expect_violation(AT_V_WRITABLE, 2048 + 8, va);
}
END_TEST

START_TEST(root_that_maps_a_given_frame)
{
	bool given = _i;

	ck_assert_int_eq(at_become(w.at, DATA, given ? TO_HOST : TO_TYPE(3)), AT_OK);
	world_map(&w, 2, VMALLOC, 1, R(DATA));
	ck_assert_int_eq(world_pin_tree(&w, 2), given ? AT_MAPS_BALLOONED : AT_MEMTYPE_CONFLICT);
	expect_violation(given ? AT_V_BALLOONED : AT_V_MEMTYPE, DATA, VMALLOC);
	ck_assert(!at_is_mapped(w.at, DATA));
	ck_assert_uint_eq(at_pinned_level(w.at, 2), 0);
}
END_TEST

/* --- memory ----------------------------------------------------------------------------------- */

START_TEST(counting_fails)
{
	unsigned n = 1;

	at_free(w.at);
	world_start(&w);
	for (unsigned i = 0; i < 100; i++)
		world_set(&w, l1, i, R(DATA + i % 40)); /* some more than once */
	ck_assert_int_eq(world_pin_tree(&w, ROOT), AT_OK);
	for (;; n++) {
		size_t live = fault_live();

		fault_set(n, _i);
		bool ok = at_count_all(w.at);

		fault_set(0, false);
		if (ok)
			break;
		ck_assert_uint_eq(fault_live(), live);
		ck_assert_int_eq(at_may(w.at, DATA + 200, TO_HOST), AT_NO_MEMORY);
		world_sync(&w);
	}
	ck_assert_uint_gt(n, 3);
	for (unsigned i = 0; i < 40; i++)
		ck_assert_uint_eq(at_mapping_count(w.at, DATA + i), i < 20 ? 3 : 2);
}
END_TEST

START_TEST(becoming_fails)
{
	struct at_transition to = _i ? TO_HOST : TO_TYPE(2);
	unsigned failed = 0;

	for (uint64_t pfn = DATA; pfn < DATA + 300; pfn++) {
		fault_set(1, true);
		enum at_verdict verdict = at_become(w.at, pfn, to);

		fault_set(0, false);
		ck_assert(verdict == AT_OK || verdict == AT_NO_MEMORY);
		ck_assert_int_eq(_i ? at_is_ballooned(w.at, pfn) : at_memtype(w.at, pfn) == 2,
				 !verdict);
		if (verdict == AT_OK)
			continue;
		failed++;
		ck_assert_int_eq(at_become(w.at, pfn, to), AT_OK);
	}
	ck_assert_uint_gt(failed, 2);
	fault_set(1, true);
	for (uint64_t pfn = DATA; !_i && pfn < DATA + 300; pfn++)
		ck_assert_int_eq(at_become(w.at, pfn, TO_TYPE(5)), AT_OK); /* from one to another */
	fault_set(0, false);
}
END_TEST

Suite *transition_suite(void)
{
	Suite *suite = suite_create("transitions");
	TCase *tcase = tcase_create("transitions");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, states_exclude_each_other);
	tcase_add_test(tcase, states_beside_roots);
	tcase_add_test(tcase, tables_stay_tables);
	tcase_add_test(tcase, read_only_mappings);
	tcase_add_test(tcase, read_only_paths);
	tcase_add_test(tcase, large_leaves);
	tcase_add_loop_test(tcase, types, 0, 8);
	tcase_add_test(tcase, direct_map);
	tcase_add_test(tcase, refused_before_all_are_counted);
	tcase_add_test(tcase, uncounted_may_be_in_a_tlb);
	tcase_add_test(tcase, blind);
	tcase_add_test(tcase, granted_in_spite_of_it);
	tcase_add_test(tcase, read_only_mappings_in_a_tlb);
	tcase_add_loop_test(tcase, both_kinds_in_a_tlb, 0, 2);
	tcase_add_test(tcase, weakened_and_gone);
	tcase_add_loop_test(tcase, another_type_in_a_tlb, 0, 3);
	tcase_add_test(tcase, gone_by);
	tcase_add_loop_test(tcase, mapping_a_given_frame, 0, 2);
	tcase_add_test(tcase, mapping_with_another_type);
	tcase_add_loop_test(tcase, from_one_violation_to_another, 0, 2);
	tcase_add_test(tcase, large_leaf_over_a_given_frame);
	tcase_add_loop_test(tcase, root_that_maps_a_given_frame, 0, 2);
	tcase_add_loop_test(tcase, counting_fails, 0, 2);
	tcase_add_loop_test(tcase, becoming_fails, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

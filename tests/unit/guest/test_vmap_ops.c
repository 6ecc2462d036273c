/* SPDX-License-Identifier: MIT */
/* What strategies do when frames are mapped and unmapped, and the old mistakes. */
#include "suites.h"

#include <stddef.h>

#include "alias_abi.h"
#include "vmap.h"
#include "fake_mmu.h"

enum { NR = 4 };

static struct vmap_space space;
static const uint64_t pfns[64] = {1, 2, 3, 4};

static void reset(const struct vmap_ops *ops, enum vmap_bug bug)
{
	fake_reset();
	vmap_space_init(&space, fake_va(0), fake_va(FAKE_PAGES), FAKE_CPUS, 1000000);
	if (ops)
		space.ops = ops;
	space.bug = bug;
}

static unsigned page_of(const void *addr)
{
	return (unsigned)(((uint64_t)addr - VMALLOC_START) / PAGE_SIZE);
}

/* Maps NR pages, by vmap or from a block, lets the TLB see them, and unmaps them. */
static unsigned come_and_go(bool ram)
{
	void *addr = ram ? vm_map_ram_in(&space, pfns, NR, PTE_KERNEL)
			 : vmap_in(&space, pfns, NR, PTE_KERNEL);

	ck_assert_ptr_nonnull(addr);
	fake_fill_tlb();
	if (ram)
		vm_unmap_ram_in(&space, addr, NR);
	else
		vunmap_in(&space, addr);
	return page_of(addr);
}

START_TEST(cleared_at_once_and_flushed_later)
{
	static const struct vmap_ops ops = {.unmap = vmap_clear};
	unsigned page;

	reset(&ops, VMAP_BUG_NONE);
	page = come_and_go(_i);
	for (unsigned i = 0; i < NR; i++)
		ck_assert(!fake_pte(page + i) && fake_tlb(page + i));
	ck_assert_uint_eq(fake_mmu.flushes, 0);
	ck_assert_uint_lt(fake_mmu.flushed, fake_mmu.cleared);
	ck_assert_uint_eq(space.stale_pages, NR);
	/* The addresses are not used again before the flush. */
	ck_assert_uint_ne(come_and_go(_i), page);
	vm_unmap_aliases_in(&space);
	for (unsigned i = 0; i < NR; i++)
		ck_assert(!fake_tlb(page + i));
	ck_assert_uint_eq(fake_mmu.flushes, 1);
	ck_assert_uint_eq(fake_mmu.flushed, fake_mmu.cleared);
	ck_assert_uint_eq(space.stale_pages, 0);
	ck_assert_uint_eq(FAKE_STAT(lazy_pages_max), 2 * NR);
}
END_TEST

/* Every unmap moves the clock: what came and went between two syncs is not overlooked. */
START_TEST(each_clear_ticks)
{
	static const struct vmap_ops ops = {.unmap = vmap_clear};
	uint64_t cleared;

	reset(&ops, VMAP_BUG_NONE);
	come_and_go(_i);
	cleared = fake_mmu.cleared;
	come_and_go(_i);
	ck_assert_uint_gt(fake_mmu.cleared, cleared);
}
END_TEST

START_TEST(cleared_and_flushed_at_once)
{
	static const struct vmap_ops ops = {.unmap = vmap_clear_and_flush};
	unsigned page;

	reset(&ops, VMAP_BUG_NONE);
	page = come_and_go(_i);
	for (unsigned i = 0; i < NR; i++)
		ck_assert(!fake_pte(page + i) && !fake_tlb(page + i));
	come_and_go(_i);
	ck_assert_uint_eq(fake_mmu.flushes, 2);
	ck_assert_uint_eq(fake_mmu.flushed, fake_mmu.cleared);
	ck_assert_uint_eq(FAKE_STAT(lazy_pages_max), 0);
	ck_assert_uint_eq(vm_unmap_aliases_in(&space), 0);
	ck_assert_uint_eq(fake_mmu.flushes, 2);
}
END_TEST

static unsigned counts[FAKE_PFNS];

static void count_mapped(uint64_t pfn)
{
	counts[pfn]++;
}

static void count_cleared(uint64_t pfn)
{
	ck_assert_uint_gt(counts[pfn], 0);
	counts[pfn]--;
}

START_TEST(each_pte_is_reported)
{
	static const struct vmap_ops ops = {.mapped = count_mapped, .cleared = count_cleared};
	void *live;

	reset(&ops, VMAP_BUG_NONE);
	live = vmap_in(&space, pfns, 2, PTE_KERNEL);
	come_and_go(_i);
	come_and_go(!_i);
	ck_assert_uint_eq(counts[1], 3);
	ck_assert_uint_eq(counts[4], 2);
	vm_unmap_aliases_in(&space);
	ck_assert_uint_eq(counts[1], 1);
	ck_assert_uint_eq(counts[4], 0);
	vmap_for_each_pte(&space, count_cleared);
	ck_assert_uint_eq(counts[1] + counts[2], 0);
	vmap_for_each_pte(&space, count_mapped);
	vunmap_in(&space, live);
	vm_unmap_aliases_in(&space);
	ck_assert_uint_eq(counts[1] + counts[2] + counts[3] + counts[4], 0);
}
END_TEST

static unsigned unmapped;

static void count_unmapped(struct vmap_space *of)
{
	ck_assert_ptr_eq(of, &space);
	unmapped++;
	vm_unmap_aliases_in(of);
}

START_TEST(purged_after_each_unmap)
{
	static const struct vmap_ops ops = {.unmapped = count_unmapped};

	reset(&ops, VMAP_BUG_NONE);
	come_and_go(_i);
	come_and_go(!_i);
	ck_assert_uint_eq(unmapped, 2);
	ck_assert_uint_eq(fake_mmu.flushes, 2);
	ck_assert_uint_eq(space.stale_pages, 0);
	/* A mapping that fails half way leaves nothing behind either. */
	fake_mmu.tables_max = fake_mmu.tables;
	for (unsigned n = 0; unmapped == 2 && n < FAKE_PAGES; n++)
		vmap_in(&space, pfns, 64, PTE_KERNEL);
	ck_assert_uint_eq(unmapped, 3);
	ck_assert_uint_eq(space.stale_pages, 0);
}
END_TEST

/* All pages of a block in use; the first 64 are given back. */
static void use_up_a_block(void)
{
	void *first = vm_map_ram_in(&space, pfns, 64, PTE_KERNEL);

	for (unsigned i = 1; i < space.block_pages / 64; i++)
		ck_assert_ptr_nonnull(vm_map_ram_in(&space, pfns, 64, PTE_KERNEL));
	vm_unmap_ram_in(&space, first, 64);
}

START_TEST(bug_full_blocks)
{
	reset(NULL, _i ? VMAP_BUG_FULL_BLOCKS : VMAP_BUG_NONE);
	use_up_a_block();
	ck_assert_uint_eq(vm_unmap_aliases_in(&space), _i ? 0 : 64);
	ck_assert_uint_eq(space.stale_pages, _i ? 64 : 0);
	/* Others are not overlooked. */
	come_and_go(true);
	ck_assert_uint_eq(vm_unmap_aliases_in(&space), NR);
}
END_TEST

START_TEST(bug_reflush)
{
	reset(NULL, VMAP_BUG_REFLUSH);
	come_and_go(true);
	ck_assert_uint_eq(vm_unmap_aliases_in(&space), NR);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(vm_unmap_aliases_in(&space), 0);
	ck_assert_uint_eq(fake_mmu.flushes, 4);
	ck_assert_uint_eq(FAKE_STAT(purges), 4);
	ck_assert_uint_eq(space.stale_pages, 0);
}
END_TEST

Suite *vmap_ops_suite(void)
{
	Suite *suite = suite_create("vmap ops");
	TCase *tc = tcase_create("ops");

	tcase_add_loop_test(tc, cleared_at_once_and_flushed_later, 0, 2);
	tcase_add_loop_test(tc, each_clear_ticks, 0, 2);
	tcase_add_loop_test(tc, cleared_and_flushed_at_once, 0, 2);
	tcase_add_loop_test(tc, each_pte_is_reported, 0, 2);
	tcase_add_loop_test(tc, purged_after_each_unmap, 0, 2);
	tcase_add_loop_test(tc, bug_full_blocks, 0, 2);
	tcase_add_test(tc, bug_reflush);
	suite_add_tcase(suite, tc);
	return suite;
}

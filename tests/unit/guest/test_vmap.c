/* SPDX-License-Identifier: MIT */
/* The lazy vmap allocator against a model that looks at every page after every step. */
#include "suites.h"

#include <stddef.h>
#include <stdlib.h>

#include "alias_abi.h"
#include "panic.h"
#include "vmap.h"
#include "fake_mmu.h"

enum { MAX_MAPPINGS = 64, MAX_COUNT = 100 };

/* A live mapping. */
struct mapping {
	unsigned page, count;
	bool ram; /* by vm_map_ram */
	uint64_t pfns[MAX_COUNT];
};

struct model {
	struct vmap_space space;
	uint64_t rng;
	unsigned nr;
	struct mapping live[MAX_MAPPINGS];
	bool is_live[FAKE_PAGES];
};

static struct model model; /* too large for a stack */

static void model_reset(unsigned pages, uint64_t lazy_max, uint64_t seed)
{
	fake_reset();
	vmap_space_init(&model.space, fake_va(0), fake_va(pages), FAKE_CPUS, lazy_max);
	model.rng = seed;
	model.nr = 0;
	for (unsigned i = 0; i < FAKE_PAGES; i++)
		model.is_live[i] = false;
}

static uint64_t below(uint64_t n)
{
	return test_below(&model.rng, n);
}

static void choose_pfns(uint64_t *pfns, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pfns[i] = 1 + below(FAKE_PFNS - 1);
}

/* Maps; the pages must have been nobody's, and unknown to any TLB. */
static struct mapping *map(bool ram, unsigned count)
{
	struct mapping *m = &model.live[model.nr];
	void *addr;

	*m = (struct mapping){.count = count, .ram = ram};
	choose_pfns(m->pfns, count);
	fake_fill_tlb();
	addr = ram ? vm_map_ram_in(&model.space, m->pfns, count, PTE_KERNEL)
		   : vmap_in(&model.space, m->pfns, count, PTE_KERNEL);
	if (!addr)
		return NULL;
	m->page = (unsigned)(((uint64_t)addr - VMALLOC_START) / PAGE_SIZE);
	for (unsigned i = 0; i < count; i++) {
		CHECK(!model.is_live[m->page + i], "page %u", m->page + i);
		CHECK(!fake_tlb(m->page + i), "page %u", m->page + i);
		model.is_live[m->page + i] = true;
	}
	if (!ram || count > VMAP_MAX_ALLOC)
		ck_assert_uint_eq(fake_pte(m->page + count), 0); /* the guard page */
	model.nr++;
	return m;
}

static void unmap(unsigned which)
{
	struct mapping *m = &model.live[which];
	void *addr = (void *)fake_va(m->page);

	for (unsigned i = 0; i < m->count; i++)
		model.is_live[m->page + i] = false;
	if (m->ram)
		vm_unmap_ram_in(&model.space, addr, m->count);
	else
		vunmap_in(&model.space, addr);
	*m = model.live[--model.nr];
}

static unsigned stale_pages(void)
{
	unsigned stale = 0;

	for (unsigned page = 0; page < FAKE_PAGES; page++)
		stale += fake_pte(page) && !model.is_live[page];
	return stale;
}

static void check_unmap_aliases(void)
{
	uint64_t flushes = fake_mmu.flushes;
	unsigned stale = stale_pages();

	fake_fill_tlb();
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), stale);
	ck_assert_uint_eq(fake_mmu.flushes - flushes, stale > 0);
	for (unsigned page = 0; page < FAKE_PAGES; page++)
		if (!model.is_live[page])
			CHECK(!fake_pte(page) && !fake_tlb(page), "page %u", page);
	/* Again: there is nothing to do, so nothing is done. */
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 0);
	ck_assert_uint_eq(fake_mmu.flushes - flushes, stale > 0);
}

static enum vmap_purge_result purge_at(uint64_t addr, uint64_t *cleared)
{
	enum vmap_purge_result found;

	*cleared += vm_purge_ranges_in(&model.space, &addr, 1, &found);
	return found;
}

static void check_purge_range(unsigned page)
{
	enum vmap_purge_result want = model.is_live[page]   ? VMAP_PURGE_LIVE
				      : fake_pte(page) != 0 ? VMAP_PURGE_DONE
							    : VMAP_PURGE_NOTHING;
	unsigned stale = stale_pages();
	uint64_t flushes = fake_mmu.flushes, cleared = 0;
	enum vmap_purge_result got;

	fake_fill_tlb();
	got = purge_at(fake_va(page), &cleared);
	/* Where nothing is mapped, there may yet be space that a block handed out by rounding up.
	 */
	if (want != VMAP_PURGE_NOTHING)
		ck_assert_int_eq(got, want);
	ck_assert_uint_eq(cleared, stale - stale_pages());
	ck_assert_uint_eq(fake_mmu.flushes - flushes, cleared > 0);
	if (want == VMAP_PURGE_DONE)
		ck_assert(!fake_pte(page) && !fake_tlb(page));
	if (want == VMAP_PURGE_LIVE)
		ck_assert_uint_eq(cleared, 0);
}

static void check_live(void)
{
	for (unsigned i = 0; i < model.nr; i++)
		for (unsigned j = 0; j < model.live[i].count; j++)
			CHECK(fake_pte(model.live[i].page + j) ==
				      make_pte(model.live[i].pfns[j], PTE_KERNEL),
			      "page %u", model.live[i].page + j);
}

static void check_whole(void)
{
	const char *wrong = vmap_tree_check(&model.space.tree);
	struct vmap_area *area;
	uint64_t lazy = 0;

	TAILQ_FOREACH (area, &model.space.lazy, lazy)
		lazy += area->nr_pages;
	ck_assert_uint_eq(lazy, model.space.lazy_pages);
	ck_assert_uint_eq(stale_pages(), model.space.stale_pages);
	ck_assert_msg(!wrong, "%s", wrong);
	ck_assert_uint_le(model.space.lazy_pages, model.space.lazy_max);
	ck_assert_uint_eq(fake_mmu.cleared, fake_mmu.flushed);
	ck_assert_uint_eq(fake_mmu.flushes, FAKE_STAT(purges));
	check_live();
}

static void random_step(void)
{
	unsigned dice = (unsigned)below(100);

	fake_mmu.cpu = (unsigned)below(FAKE_CPUS);
	if (dice < 45 && model.nr < MAX_MAPPINGS)
		map(below(4) > 0, 1 + (unsigned)below(below(8) ? 9 : MAX_COUNT));
	else if (dice < 90 && model.nr > 0)
		unmap((unsigned)below(model.nr));
	else if (dice < 98)
		check_purge_range((unsigned)below(FAKE_PAGES));
	else
		check_unmap_aliases();
}

/* Loops over address spaces that are ample, and so small that they run out all the time. */
START_TEST(random_operations)
{
	static const unsigned pages[] = {FAKE_PAGES, 2048, 1024};
	static const uint64_t lazy_max[] = {1000000, 200, 0};

	model_reset(pages[_i % 3], lazy_max[_i / 3 % 3], test_seed + (uint64_t)_i);
	for (unsigned step = 0; step < 6000; step++) {
		random_step();
		if (step % 8 == 0)
			check_whole();
	}
	while (model.nr)
		unmap(0);
	check_unmap_aliases();
	check_whole();
}
END_TEST

START_TEST(unmap_is_lazy_until_asked)
{
	uint64_t pfns[4] = {1, 2, 3, 4};

	model_reset(FAKE_PAGES, 1000, 1);
	vunmap_in(&model.space, vmap_in(&model.space, pfns, 4, PTE_KERNEL));
	vm_unmap_ram_in(&model.space, vm_map_ram_in(&model.space, pfns, 3, PTE_KERNEL), 3);
	ck_assert_uint_eq(fake_mmu.flushes, 0);
	ck_assert_uint_eq(stale_pages(), 7);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 7);
	ck_assert_uint_eq(fake_mmu.flushes, 1);
}
END_TEST

START_TEST(the_limit_purges_areas_but_not_blocks)
{
	uint64_t pfns[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

	model_reset(FAKE_PAGES, 20, 1);
	vm_unmap_ram_in(&model.space, vm_map_ram_in(&model.space, pfns, 1, PTE_KERNEL), 1);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(fake_mmu.flushes, 0);
		vunmap_in(&model.space, vmap_in(&model.space, pfns, 10, PTE_KERNEL));
	}
	ck_assert_uint_eq(fake_mmu.flushes, 1);
	ck_assert_uint_eq(FAKE_STAT(purged_pages), 30);
	ck_assert_uint_eq(FAKE_STAT(lazy_pages_max), 31);
	ck_assert_uint_eq(stale_pages(), 1);
}
END_TEST

START_TEST(exhaustion_purges_once)
{
	uint64_t pfns[63];

	choose_pfns(pfns, 63);
	model_reset(256, 1000, 1);
	for (unsigned i = 0; i < 4; i++)
		vunmap_in(&model.space, vmap_in(&model.space, pfns, 63, PTE_KERNEL));
	ck_assert_uint_eq(fake_mmu.flushes, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_ptr_nonnull(vmap_in(&model.space, pfns, 63, PTE_KERNEL));
	ck_assert_uint_eq(fake_mmu.flushes, 1);
	ck_assert_ptr_null(vmap_in(&model.space, pfns, 1, PTE_KERNEL));
	ck_assert_uint_eq(fake_mmu.flushes, 1);
}
END_TEST

/* Linux before fc1e0d980037: a block without free pages was on no list, and never flushed. */
START_TEST(fully_used_blocks_are_flushed)
{
	uint64_t pfns[64];
	void *first;

	choose_pfns(pfns, 64);
	model_reset(FAKE_PAGES, 1000000, 1);
	first = vm_map_ram_in(&model.space, pfns, 64, PTE_KERNEL);
	for (unsigned i = 1; i < model.space.block_pages / 64; i++)
		ck_assert_ptr_nonnull(vm_map_ram_in(&model.space, pfns, 64, PTE_KERNEL));
	vm_unmap_ram_in(&model.space, first, 64);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 64);
}
END_TEST

/* Linux before a09fad96ffb1: dirty space was flushed at every call. */
START_TEST(dirty_space_is_flushed_once)
{
	uint64_t pfns[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	void *a, *b;

	model_reset(FAKE_PAGES, 1000000, 1);
	a = vm_map_ram_in(&model.space, pfns, 8, PTE_KERNEL);
	b = vm_map_ram_in(&model.space, pfns, 8, PTE_KERNEL);
	vm_unmap_ram_in(&model.space, a, 8);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 8);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 0);
	ck_assert_uint_eq(fake_mmu.flushes, 1);
	/* And its addresses are not used again before all of the block is dirty. */
	ck_assert_ptr_ne(vm_map_ram_in(&model.space, pfns, 8, PTE_KERNEL), a);
	vm_unmap_ram_in(&model.space, b, 8);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 8);
}
END_TEST

START_TEST(a_wholly_dirty_block_goes_with_its_area)
{
	uint64_t pfns[64];
	unsigned n;
	void *addrs[VMAP_BLOCK_PAGES_MAX / 64];

	choose_pfns(pfns, 64);
	model_reset(FAKE_PAGES, 1000000, 1);
	n = model.space.block_pages / 64;
	for (unsigned i = 0; i < n; i++)
		addrs[i] = vm_map_ram_in(&model.space, pfns, 64, PTE_KERNEL);
	for (unsigned i = 0; i < n; i++) {
		fake_mmu.cpu = i % FAKE_CPUS;
		vm_unmap_ram_in(&model.space, addrs[i], 64);
		ck_assert_uint_eq(model.space.lazy_pages, i == n - 1 ? n * 64 : 0);
	}
	ck_assert_uint_eq(vmap_tree_count(&model.space.tree), 1);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), n * 64);
	ck_assert_uint_eq(vmap_tree_count(&model.space.tree), 0);
}
END_TEST

/* Areas are freed by the purge of the limit even while their block waits for a flush of its own. */
START_TEST(a_block_on_the_pending_list_can_be_freed)
{
	uint64_t pfns[64];
	void *addrs[VMAP_BLOCK_PAGES_MAX / 64];

	choose_pfns(pfns, 64);
	model_reset(FAKE_PAGES, 0, 1);
	for (unsigned i = 0; i < model.space.block_pages / 64; i++)
		addrs[i] = vm_map_ram_in(&model.space, pfns, 64, PTE_KERNEL);
	for (unsigned i = 0; i < model.space.block_pages / 64; i++)
		vm_unmap_ram_in(&model.space, addrs[i], 64);
	ck_assert_uint_eq(vmap_tree_count(&model.space.tree), 0);
	ck_assert_uint_eq(fake_mmu.flushes, 1);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 0);
}
END_TEST

START_TEST(purge_range_takes_one_run)
{
	uint64_t pfns[4] = {1, 2, 3, 4}, cleared = 0;
	void *addrs[4];

	model_reset(FAKE_PAGES, 1000, 1);
	for (unsigned i = 0; i < 4; i++)
		addrs[i] = vm_map_ram_in(&model.space, pfns, 4, PTE_KERNEL);
	vm_unmap_ram_in(&model.space, addrs[0], 4);
	vm_unmap_ram_in(&model.space, addrs[1], 4);
	vm_unmap_ram_in(&model.space, addrs[3], 4);
	ck_assert_int_eq(purge_at((uint64_t)addrs[1], &cleared), VMAP_PURGE_DONE);
	ck_assert_uint_eq(cleared, 8);
	ck_assert_int_eq(purge_at((uint64_t)addrs[2], &cleared), VMAP_PURGE_LIVE);
	ck_assert_int_eq(purge_at((uint64_t)addrs[0], &cleared), VMAP_PURGE_NOTHING);
	ck_assert_uint_eq(cleared, 8);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 4);
}
END_TEST

/* Several places at once, some named twice: one flush. */
START_TEST(purge_ranges_flush_once)
{
	uint64_t pfns[4] = {1, 2, 3, 4}, addrs[6];
	enum vmap_purge_result found[6];

	model_reset(FAKE_PAGES, 1000, 1);
	for (unsigned i = 0; i < 4; i++)
		addrs[i] = (uint64_t)vmap_in(&model.space, pfns, 4, PTE_KERNEL);
	addrs[4] = (uint64_t)vm_map_ram_in(&model.space, pfns, 4, PTE_KERNEL);
	addrs[5] = addrs[0] + PAGE_SIZE;
	vunmap_in(&model.space, (void *)addrs[0]);
	vunmap_in(&model.space, (void *)addrs[1]);
	vunmap_in(&model.space, (void *)addrs[2]);
	vm_unmap_ram_in(&model.space, (void *)addrs[4], 4);
	addrs[1] = addrs[0]; /* named twice, and the second area not at all */
	ck_assert_uint_eq(vm_purge_ranges_in(&model.space, addrs, 6, found), 12);
	ck_assert_uint_eq(fake_mmu.flushes, 1);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(found[i], i == 3 ? VMAP_PURGE_LIVE : VMAP_PURGE_DONE);
	ck_assert_uint_eq(model.space.lazy_pages, 4);
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), 4);
}
END_TEST

START_TEST(a_failed_map_leaves_nothing_behind)
{
	uint64_t pfns[MAX_COUNT];

	choose_pfns(pfns, MAX_COUNT);
	model_reset(FAKE_PAGES, 1000000, 1);
	fake_mmu.tables_max = 1;
	for (unsigned i = 0; i < 5; i++)
		ck_assert_ptr_nonnull(vmap_in(&model.space, pfns, MAX_COUNT, PTE_KERNEL));
	ck_assert_ptr_null(vmap_in(&model.space, pfns, MAX_COUNT, PTE_KERNEL));
	ck_assert_ptr_null(vm_map_ram_in(&model.space, pfns, 5, PTE_KERNEL));
	ck_assert_uint_eq(vm_unmap_aliases_in(&model.space), PTRS - 5 * (MAX_COUNT + 1));
	fake_mmu.tables_max = ~0u;
	ck_assert_ptr_nonnull(vmap_in(&model.space, pfns, MAX_COUNT, PTE_KERNEL));
	ck_assert_ptr_null(vmap_in(&model.space, pfns, 0, PTE_KERNEL));
}
END_TEST

static void *map_one(void)
{
	uint64_t pfn = 1;

	model_reset(FAKE_PAGES, 1000, 1);
	return vmap_in(&model.space, &pfn, 1, PTE_KERNEL);
}

START_TEST(double_vunmap_panics)
{
	void *addr = map_one();

	vunmap_in(&model.space, addr);
	vunmap_in(&model.space, addr);
}
END_TEST

START_TEST(vunmap_of_nothing_panics)
{
	vunmap_in(&model.space, (char *)map_one() + PAGE_SIZE);
}
END_TEST

START_TEST(double_vm_unmap_ram_panics)
{
	uint64_t pfns[2] = {1, 2};
	void *addr;

	model_reset(FAKE_PAGES, 1000, 1);
	addr = vm_map_ram_in(&model.space, pfns, 2, PTE_KERNEL);
	vm_unmap_ram_in(&model.space, addr, 2);
	vm_unmap_aliases_in(&model.space);
	vm_unmap_ram_in(&model.space, addr, 2);
}
END_TEST

START_TEST(vm_unmap_ram_of_too_much_panics)
{
	uint64_t pfns[2] = {1, 2};

	model_reset(FAKE_PAGES, 1000, 1);
	vm_unmap_ram_in(&model.space, vm_map_ram_in(&model.space, pfns, 2, PTE_KERNEL), 4);
}
END_TEST

Suite *vmap_suite(void)
{
	Suite *suite = suite_create("vmap");
	TCase *tc = tcase_create("lazy");

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, random_operations, 0, 9);
	tcase_add_test(tc, unmap_is_lazy_until_asked);
	tcase_add_test(tc, the_limit_purges_areas_but_not_blocks);
	tcase_add_test(tc, exhaustion_purges_once);
	tcase_add_test(tc, fully_used_blocks_are_flushed);
	tcase_add_test(tc, dirty_space_is_flushed_once);
	tcase_add_test(tc, a_wholly_dirty_block_goes_with_its_area);
	tcase_add_test(tc, a_block_on_the_pending_list_can_be_freed);
	tcase_add_test(tc, purge_range_takes_one_run);
	tcase_add_test(tc, purge_ranges_flush_once);
	tcase_add_test(tc, a_failed_map_leaves_nothing_behind);
	tcase_add_exit_test(tc, double_vunmap_panics, EXIT_PANIC);
	tcase_add_exit_test(tc, vunmap_of_nothing_panics, EXIT_PANIC);
	tcase_add_exit_test(tc, double_vm_unmap_ram_panics, EXIT_PANIC);
	tcase_add_exit_test(tc, vm_unmap_ram_of_too_much_panics, EXIT_PANIC);
	suite_add_tcase(suite, tc);
	return suite;
}

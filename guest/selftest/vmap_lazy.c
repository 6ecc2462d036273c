/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stddef.h>

#include "percpu.h"
#include "pgtable.h"
#include "selftest.h"
#include "small_space.h"
#include "vmap.h"

static bool is_mapped(const void *addr)
{
	return lookup_leaf(kernel_root_pfn(), (uint64_t)addr, NULL) & PTE_P;
}

static void vmap_is_an_alias(struct selftest_result *r)
{
	struct vmap_space *space = small_space(1000000);
	const uint64_t *pfns = small_pfns();
	volatile uint64_t *addr;

	EXPECT(r, space);
	addr = vmap_in(space, pfns, SMALL_PFNS, PTE_KERNEL);
	EXPECT(r, addr);
	for (unsigned i = 0; i < SMALL_PFNS; i++)
		addr[i * PTRS + i] = i;
	for (unsigned i = 0; i < SMALL_PFNS; i++)
		EXPECT(r, ((volatile uint64_t *)pfn_to_virt(pfns[i]))[i] == i);
	vunmap_in(space, (void *)addr);
	vm_unmap_aliases_in(space);
	EXPECT(r, !is_mapped((void *)addr));
}
SELFTEST(vmap_is_an_alias, vmap_is_an_alias);

static void vunmap_is_lazy(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	struct vmap_space *space = small_space(1000000);
	uint64_t purges = stats->purges, flushes = stats->local_flushes;
	void *addr;

	EXPECT(r, space);
	addr = vmap_in(space, small_pfns(), 4, PTE_KERNEL);
	EXPECT(r, addr);
	vunmap_in(space, addr);
	EXPECT(r, is_mapped(addr) && space->lazy_pages == 4 && space->stale_pages == 4);
	EXPECT(r, stats->purges == purges && stats->local_flushes == flushes);
	EXPECT(r, vm_unmap_aliases_in(space) == 4);
	EXPECT(r, !is_mapped(addr) && space->lazy_pages == 0 && space->stale_pages == 0);
	EXPECT(r, stats->purges == purges + 1 && stats->local_flushes > flushes);
	/* Nothing is lazy: nothing is flushed. */
	flushes = stats->local_flushes;
	EXPECT(r, vm_unmap_aliases_in(space) == 0);
	EXPECT(r, stats->purges == purges + 1 && stats->local_flushes == flushes);
}
SELFTEST(vunmap_is_lazy, vunmap_is_lazy);

static void vunmap_purges_at_the_limit(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	struct vmap_space *space = small_space(10);
	uint64_t purges = stats->purges, pages = stats->purged_pages;

	EXPECT(r, space);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(r, stats->purges == purges);
		vunmap_in(space, vmap_in(space, small_pfns(), 5, PTE_KERNEL));
	}
	EXPECT(r, stats->purges == purges + 1 && stats->purged_pages == pages + 15);
	EXPECT(r, vmap_tree_count(&space->tree) == 0);
}
SELFTEST(vunmap_purges_at_the_limit, vunmap_purges_at_the_limit);

static void purge_range_takes_one_area(struct selftest_result *r)
{
	struct vmap_space *space = small_space(1000000);
	enum vmap_purge_result found[2];
	uint64_t at[2];
	void *addrs[3];

	EXPECT(r, space);
	for (unsigned i = 0; i < 3; i++) {
		addrs[i] = vmap_in(space, small_pfns(), 6, PTE_KERNEL);
		EXPECT(r, addrs[i]);
	}
	vunmap_in(space, addrs[0]);
	vunmap_in(space, addrs[1]);
	at[0] = (uint64_t)addrs[1] + 2 * PAGE_SIZE;
	at[1] = (uint64_t)addrs[2];
	EXPECT(r, vm_purge_ranges_in(space, at, 2, found) == 6);
	EXPECT(r, found[0] == VMAP_PURGE_DONE && found[1] == VMAP_PURGE_LIVE);
	EXPECT(r, is_mapped(addrs[0]) && !is_mapped(addrs[1]) && is_mapped(addrs[2]));
	EXPECT(r, vm_purge_ranges_in(space, at, 1, found) == 0);
	EXPECT(r, found[0] == VMAP_PURGE_NOTHING);
	vunmap_in(space, addrs[2]);
	EXPECT(r, vm_unmap_aliases_in(space) == 12);
}
SELFTEST(purge_range_takes_one_area, purge_range_takes_one_area);

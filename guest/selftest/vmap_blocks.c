/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "percpu.h"
#include "pgtable.h"
#include "selftest.h"
#include "small_space.h"
#include "smp.h"
#include "vmap.h"

static void blocks_serve_powers_of_two(struct selftest_result *r)
{
	struct vmap_space *space = small_space(1000000);
	uint64_t a, b, c;

	EXPECT(r, space);
	a = (uint64_t)vm_map_ram_in(space, small_pfns(), 3, PTE_KERNEL);
	b = (uint64_t)vm_map_ram_in(space, small_pfns(), 1, PTE_KERNEL);
	c = (uint64_t)vm_map_ram_in(space, small_pfns(), 2, PTE_KERNEL);
	EXPECT(r, a && b == a + 4 * PAGE_SIZE && c == a + 6 * PAGE_SIZE);
	EXPECT(r, vmap_tree_count(&space->tree) == 1);
	vm_unmap_ram_in(space, (void *)a, 3);
	vm_unmap_ram_in(space, (void *)b, 1);
	vm_unmap_ram_in(space, (void *)c, 2);
	EXPECT(r, space->stale_pages == 6);
	EXPECT(r, vm_unmap_aliases_in(space) == 6);
	/* The space itself is not used again so soon. */
	EXPECT(r, (uint64_t)vm_map_ram_in(space, small_pfns(), 1, PTE_KERNEL) == b + PAGE_SIZE);
	vm_unmap_ram_in(space, (void *)(b + PAGE_SIZE), 1);
	EXPECT(r, vm_unmap_aliases_in(space) == 1);
}
SELFTEST(blocks_serve_powers_of_two, blocks_serve_powers_of_two);

/* Linux until fc1e0d980037 forgot them. */
static void blocks_fully_used_are_flushed(struct selftest_result *r)
{
	struct vmap_space *space = small_space(1000000);
	void *addrs[VMAP_BLOCK_PAGES_MAX / 64];
	unsigned n;

	EXPECT(r, space);
	n = space->block_pages / 64;
	for (unsigned i = 0; i < n; i++) {
		addrs[i] = vm_map_ram_in(space, small_pfns(), 64, PTE_KERNEL);
		EXPECT(r, addrs[i]);
	}
	vm_unmap_ram_in(space, addrs[0], 64);
	EXPECT(r, vm_unmap_aliases_in(space) == 64);
	/* Linux until a09fad96ffb1 flushed it again and again. */
	EXPECT(r, vm_unmap_aliases_in(space) == 0);
	for (unsigned i = 1; i < n; i++)
		vm_unmap_ram_in(space, addrs[i], 64);
	EXPECT(r, space->lazy_pages == space->block_pages);
	EXPECT(r, vm_unmap_aliases_in(space) == (n - 1) * 64);
	EXPECT(r, vmap_tree_count(&space->tree) == 0);
}
SELFTEST(blocks_fully_used_are_flushed, blocks_fully_used_are_flushed);

/* The gap that is left is too small; in Linux until 02b709df817c such blocks were never freed. */
static void blocks_with_gaps_are_freed(struct selftest_result *r)
{
	struct vmap_space *space = small_space(1000000);
	void *addrs[VMAP_BLOCK_PAGES_MAX / 64], *next;
	unsigned n;

	EXPECT(r, space);
	n = space->block_pages / 64;
	/* There must be room for a second block. */
	if (2 * space->block_pages > SMALL_PAGES)
		SKIP(r, "blocks are larger than half of the small space");
	for (unsigned i = 0; i < n; i++)
		addrs[i] = vm_map_ram_in(space, small_pfns(), i ? 64 : 1, PTE_KERNEL);
	for (unsigned i = 0; i < n; i++)
		vm_unmap_ram_in(space, addrs[i], i ? 64 : 1);
	next = vm_map_ram_in(space, small_pfns(), 64, PTE_KERNEL);
	EXPECT(r, next);
	EXPECT(r, vm_unmap_aliases_in(space) == (n - 1) * 64 + 1);
	EXPECT(r, vmap_tree_count(&space->tree) == 1);
	vm_unmap_ram_in(space, next, 64);
	EXPECT(r, vm_unmap_aliases_in(space) == 64);
}
SELFTEST(blocks_with_gaps_are_freed, blocks_with_gaps_are_freed);

static void large_mappings_get_areas(struct selftest_result *r)
{
	struct vmap_space *space = small_space(1000000);
	void *addr;

	EXPECT(r, space);
	addr = vm_map_ram_in(space, small_pfns(), VMAP_MAX_ALLOC + 1, PTE_KERNEL);
	EXPECT(r, addr);
	vm_unmap_ram_in(space, addr, VMAP_MAX_ALLOC + 1);
	EXPECT(r, space->lazy_pages == VMAP_MAX_ALLOC + 1);
	EXPECT(r, vm_unmap_aliases_in(space) == VMAP_MAX_ALLOC + 1);
}
SELFTEST(large_mappings_get_areas, large_mappings_get_areas);

static struct {
	struct vmap_space *space;
	void *addrs[MAX_CPUS];
} crossed;

static void map_one(void *arg)
{
	(void)arg;
	crossed.addrs[this_cpu()->id] = vm_map_ram_in(crossed.space, small_pfns(), 2, PTE_KERNEL);
}

static void unmap_of_next_cpu(void *arg)
{
	unsigned next = (this_cpu()->id + 1) % nr_cpus_online();

	(void)arg;
	vm_unmap_ram_in(crossed.space, crossed.addrs[next], 2);
}

/* Each CPU maps from a block of its own; another CPU gives the pages back. */
static void blocks_across_cpus(struct selftest_result *r)
{
	unsigned cpus = nr_cpus_online();

	if (cpus == 1)
		SKIP(r, "there is one CPU only");
	crossed.space = small_space(1000000);
	EXPECT(r, crossed.space);
	/* As many as have room for a block there. */
	if (cpus > SMALL_PAGES / crossed.space->block_pages)
		SKIP(r, "more CPUs than blocks in the small space");
	small_pfns();
	smp_run_on_all(map_one, NULL);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		EXPECT(r, crossed.addrs[cpu]);
	EXPECT(r, vmap_tree_count(&crossed.space->tree) == cpus);
	smp_run_on_all(unmap_of_next_cpu, NULL);
	EXPECT(r, vm_unmap_aliases_in(crossed.space) == 2 * cpus);
}
SELFTEST(blocks_across_cpus, blocks_across_cpus);

/* SPDX-License-Identifier: MIT */
#include "vmap.h"

#include <stddef.h>
#include <string.h>

#include "bootargs.h"
#include "frame.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include <pte_updates.h>
#include "slab.h"
#include "smp.h"
#include "vmap_purge.h"
#include "workload.h"

BOOTARG(lazy, "pages that vunmap holds lazily before it purges, default fls(CPUs) x 32 MiB");
BOOTARG(bug, "an old bug to bring back: full-blocks, reflush; or a wrong log (vmm --track log): "
	     "log-omit, log-invent, log-value");
BOOTARG(history, "1: print at the end how many pages were lazy over time");

#define LAZY_PAGES_PER_FLS (32ul << 20 >> PAGE_SHIFT)

struct vmap_space kernel_vmap;

static struct slab area_slab = SLAB_INIT(struct vmap_area);

/* Position of the highest bit set, from 1; 0 if n is 0. */
static unsigned fls(unsigned n)
{
	return n ? 32 - (unsigned)__builtin_clz(n) : 0;
}

/* As Linux's VMAP_BBMAP_BITS: blocks are smaller if addresses are scarce. */
static unsigned block_pages(uint64_t space_pages, unsigned cpus)
{
	uint64_t share = space_pages / (1ull << fls(cpus - 1)) / 16;
	unsigned pages = VMAP_BLOCK_PAGES_MAX;

	while (pages > share && pages > VMAP_BLOCK_PAGES_MIN)
		pages /= 2;
	return pages;
}

static const struct vmap_ops plain;

void vmap_space_init(struct vmap_space *space, uint64_t lo, uint64_t hi, unsigned cpus,
		     uint64_t lazy_max)
{
	space->lock = (struct spinlock)SPINLOCK_INIT;
	vmap_tree_init(&space->tree, lo, hi);
	TAILQ_INIT(&space->lazy);
	space->lazy_pages = 0;
	space->stale_pages = 0;
	TAILQ_INIT(&space->pending);
	space->lazy_max = lazy_max;
	space->history = NULL;
	space->common = NULL;
	space->block_pages = block_pages((hi - lo) / PAGE_SIZE, cpus);
	space->bug = VMAP_BUG_NONE;
	space->ops = &plain;
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		LIST_INIT(&space->queues[cpu].free);
}

static enum vmap_bug chosen_bug(void)
{
	const char *name = arg_str("bug");

	if (!name || !strcmp(name, "log-omit") || !strcmp(name, "log-invent") ||
	    !strcmp(name, "log-value"))
		return VMAP_BUG_NONE;
	if (!strcmp(name, "full-blocks"))
		return VMAP_BUG_FULL_BLOCKS;
	if (!strcmp(name, "reflush"))
		return VMAP_BUG_REFLUSH;
	arg_bad("bug", "full-blocks, reflush, log-omit, log-invent or log-value");
}

void vmap_init(struct alias_common_page *common)
{
	static struct vmap_history history = {.every = 1};
	unsigned cpus = nr_cpus_online();

	vmap_space_init(&kernel_vmap, VMALLOC_START, VMALLOC_END, cpus,
			arg_u64("lazy", fls(cpus) * LAZY_PAGES_PER_FLS));
	kernel_vmap.common = common;
	kernel_vmap.bug = chosen_bug();
	if (arg_u64("history", 0))
		kernel_vmap.history = &history;
}

static bool take_range(struct vmap_space *space, struct vmap_area *area, uint64_t size,
		       uint64_t align)
{
	bool taken;

	spin_lock(&space->lock);
	taken = vmap_tree_take(&space->tree, area, size, align);
	spin_unlock(&space->lock);
	return taken;
}

struct vmap_area *vmap_area_alloc(struct vmap_space *space, unsigned nr_pages, uint64_t align,
				  struct vmap_block *block)
{
	uint64_t size = ((uint64_t)nr_pages + !block) * PAGE_SIZE;
	struct vmap_area *area = slab_alloc(&area_slab);

	if (!area)
		return NULL;
	area->state = VMAP_LIVE;
	area->nr_pages = nr_pages;
	area->block = block;
	if (block)
		block->area = area;
	if (take_range(space, area, size, align))
		return area;
	vmap_purge_lazy(space, true);
	if (take_range(space, area, size, align))
		return area;
	slab_free(&area_slab, area);
	return NULL;
}

/* Before `nr` pages become lazy: the strategy may clear them at once. */
static void before_lazy(struct vmap_space *space, uint64_t start, unsigned nr)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	uint64_t stale;

	spin_lock(&space->lock);
	stale = vmap_count_stale(space, nr);
	spin_unlock(&space->lock);
	if (space->ops->unmap) {
		space->ops->unmap(space, start, nr);
		spin_lock(&space->lock);
		stale = space->stale_pages;
		spin_unlock(&space->lock);
	}
	if (stale > stats->lazy_pages_max)
		stats->lazy_pages_max = stale;
}

/* After they have become lazy; they may be purged by now. */
static void after_lazy(struct vmap_space *space)
{
	if (space->ops->unmapped)
		space->ops->unmapped(space);
}

/* Makes an area lazy. Returns true if too many pages are lazy then. Under the space's lock. */
static bool make_lazy(struct vmap_space *space, struct vmap_area *area)
{
	BUG_ON(area->state == VMAP_LAZY);
	area->state = VMAP_LAZY;
	TAILQ_INSERT_TAIL(&space->lazy, area, lazy);
	space->lazy_pages += area->nr_pages;
	return space->lazy_pages > space->lazy_max;
}

void vmap_area_free_lazy(struct vmap_space *space, struct vmap_area *area)
{
	bool too_many;

	spin_lock(&space->lock);
	too_many = make_lazy(space, area);
	spin_unlock(&space->lock);
	if (too_many)
		vmap_purge_lazy(space, false);
}

void vmap_area_release(struct vmap_space *space, struct vmap_area *area)
{
	struct vmap_block *block = area->block;

	spin_lock(&space->lock);
	if (block && block->on_pending)
		TAILQ_REMOVE(&space->pending, block, pending);
	vmap_tree_remove(&space->tree, area);
	spin_unlock(&space->lock);
	if (block)
		vmap_block_release(block);
	slab_free(&area_slab, area);
}

/* Notes where the frame is mapped, for page_is_aliased(). */
static void note_mapping(uint64_t pfn, uint64_t addr)
{
	struct page *page = pfn_to_page(pfn);

	page->flags |= PAGE_WAS_VMAPPED;
	page->vmapped_at = (uint32_t)((addr - VMALLOC_START) >> PAGE_SHIFT);
}

/* Writes the PTEs. Missing tables are allocated and pinned, so no lock is held. Returns the number
 * of PTEs written, less than `count` if that failed. */
static unsigned map_pages(struct vmap_space *space, uint64_t addr, const uint64_t *pfns,
			  unsigned count, uint64_t prot)
{
	struct pte_updates updates;
	pte_t *pte = NULL;
	unsigned i;

	pte_updates_init(&updates);
	for (i = 0; i < count; i++, addr += PAGE_SIZE) {
		if (!pte || pte_index(addr, 1) == 0)
			pte = walk_kernel(addr, true);
		if (!pte)
			break;
		if (get_pte(pte) & PTE_P)
			panic("vmap: something is mapped at %#lx already", addr);
		note_mapping(pfns[i], addr);
		if (space->ops->mapped)
			space->ops->mapped(pfns[i]);
		pte_updates_add(&updates, pte++, make_pte(pfns[i], prot));
	}
	return i - pte_updates_finish(&updates);
}

static void *map_area(struct vmap_space *space, const uint64_t *pfns, unsigned count,
		      uint64_t align, uint64_t prot)
{
	struct vmap_area *area;
	unsigned mapped;

	if (!count)
		return NULL;
	area = vmap_area_alloc(space, count, align, NULL);
	if (!area)
		return NULL;
	mapped = map_pages(space, area->start, pfns, count, prot);
	if (mapped < count) {
		before_lazy(space, area->start, mapped);
		vmap_area_free_lazy(space, area);
		after_lazy(space);
		return NULL;
	}
	return (void *)area->start;
}

void *vmap_in(struct vmap_space *space, const uint64_t *pfns, unsigned count, uint64_t prot)
{
	return vmap_aligned_in(space, pfns, count, PAGE_SIZE, prot);
}

void *vmap_aligned_in(struct vmap_space *space, const uint64_t *pfns, unsigned count,
		      uint64_t align, uint64_t prot)
{
	count_stat(vmaps, 1);
	return map_area(space, pfns, count, align, prot);
}

/* Makes the area that begins at `addr` lazy. `count` is the number of pages that the caller
 * expects, or 0 if it does not know. */
static void unmap_area(struct vmap_space *space, uint64_t addr, unsigned count)
{
	struct vmap_area *area;

	spin_lock(&space->lock);
	area = vmap_tree_find(&space->tree, addr);
	if (!area || area->start != addr || area->block)
		panic("vunmap: nothing was mapped at %#lx", addr);
	if (area->state != VMAP_LIVE)
		panic("vunmap: %#lx was unmapped before", addr);
	if (count && area->nr_pages != count)
		panic("vunmap: %u pages at %#lx, but %u were mapped", count, addr, area->nr_pages);
	spin_unlock(&space->lock);
	before_lazy(space, area->start, area->nr_pages);
	vmap_area_free_lazy(space, area);
	after_lazy(space);
}

void vunmap_in(struct vmap_space *space, void *addr)
{
	count_stat(vunmaps, 1);
	unmap_area(space, (uint64_t)addr, 0);
}

/* Returns the block that holds `addr`; panics if there is none. The block can't be freed before its
 * pages are unmapped. */
static struct vmap_block *find_block(struct vmap_space *space, uint64_t addr)
{
	struct vmap_area *area;

	spin_lock(&space->lock);
	area = vmap_tree_find(&space->tree, addr);
	if (!area || !area->block)
		panic("vm_unmap_ram: nothing was mapped at %#lx", addr);
	spin_unlock(&space->lock);
	return area->block;
}

/* Unmaps `count` pages of a block, of which `mapped` have a PTE. */
static void unmap_ram(struct vmap_space *space, uint64_t addr, unsigned count, unsigned mapped)
{
	struct vmap_block *block = find_block(space, addr);

	before_lazy(space, addr, mapped);
	vmap_block_free(space, block, addr, vmap_block_order(count));
	after_lazy(space);
}

void *vm_map_ram_in(struct vmap_space *space, const uint64_t *pfns, unsigned count, uint64_t prot)
{
	unsigned mapped;
	uint64_t addr;

	count_stat(vmaps, 1);
	if (!count || count > VMAP_MAX_ALLOC)
		return map_area(space, pfns, count, PAGE_SIZE, prot);
	addr = vmap_block_alloc(space, vmap_block_order(count));
	if (!addr)
		return NULL;
	mapped = map_pages(space, addr, pfns, count, prot);
	if (mapped < count) {
		unmap_ram(space, addr, count, mapped);
		return NULL;
	}
	return (void *)addr;
}

void vm_unmap_ram_in(struct vmap_space *space, void *addr, unsigned count)
{
	uint64_t va = (uint64_t)addr;

	count_stat(vunmaps, 1);
	if (!count || va % PAGE_SIZE)
		panic("vm_unmap_ram: %u pages at %#lx make no sense", count, va);
	if (count > VMAP_MAX_ALLOC)
		unmap_area(space, va, count);
	else
		unmap_ram(space, va, count, count);
}

void vmap_for_each_pte(struct vmap_space *space, void (*fn)(uint64_t pfn))
{
	struct vmap_area *area = NULL;

	while ((area = vmap_tree_next(&space->tree, area))) {
		for (unsigned i = 0; i < area->nr_pages; i++) {
			pte_t *pte = walk_kernel(area->start + i * PAGE_SIZE, false);

			if (pte && get_pte(pte) & PTE_P)
				fn(pte_pfn(get_pte(pte)));
		}
	}
}

/* SPDX-License-Identifier: MIT */
#include "vmap_purge.h"

#include "percpu.h"
#include "pgtable.h"
#include "tlb.h"
#include "vmap.h"

/* Held from the first PTE that is cleared until the flush is through and the areas are freed. */
static struct spinlock purge_lock = SPINLOCK_INIT;

static void clear_pte(struct vmap_purge *purge, pte_t *pte, uint64_t va)
{
	if (!(get_pte(pte) & PTE_P))
		return;
	if (!purge->cleared++) {
		purge->epoch = clear_epoch_begin();
		purge->start = va;
		purge->end = va + PAGE_SIZE;
	}
	set_pte(pte, 0);
	if (va < purge->start)
		purge->start = va;
	if (va + PAGE_SIZE > purge->end)
		purge->end = va + PAGE_SIZE;
}

void vmap_purge_clear(struct vmap_purge *purge, uint64_t start, uint64_t end)
{
	const uint64_t table_span = PAGE_SIZE * PTRS;

	while (start < end) {
		pte_t *pte = walk_kernel(start, false);
		uint64_t stop = (start | (table_span - 1)) + 1;

		if (stop > end)
			stop = end;
		for (uint64_t va = start; pte && va < stop; va += PAGE_SIZE)
			clear_pte(purge, pte++, va);
		start = stop;
	}
}

/* The flush that is owed for what was cleared. */
static void purge_flush(struct vmap_space *space, const struct vmap_purge *purge)
{
	if (!purge->cleared)
		return;
	flush_tlb_clear_epoch(purge->epoch, purge->start, purge->end);
	count_stat(purges, 1);
	count_stat(purged_pages, purge->cleared);
	spin_lock(&space->lock);
	space->stale_pages -= purge->cleared;
	spin_unlock(&space->lock);
}

/* Takes the lazy areas, and with `pending` the blocks too, off the space's lists in one go: unmaps
 * on other CPUs go on meanwhile, and what they add is left to the next purge. */
static void claim(struct vmap_space *space, struct vmap_area_list *areas,
		  struct vmap_pending_list *pending)
{
	spin_lock(&space->lock);
	TAILQ_CONCAT(areas, &space->lazy, lazy);
	space->lazy_pages = 0;
	if (pending)
		TAILQ_CONCAT(pending, &space->pending, pending);
	spin_unlock(&space->lock);
}

static void clear_blocks(struct vmap_space *space, struct vmap_pending_list *blocks,
			 struct vmap_purge *purge)
{
	struct vmap_block *block;

	while ((block = TAILQ_FIRST(blocks))) {
		/* From here on an unmap puts it on the space's list again. */
		spin_lock(&space->lock);
		TAILQ_REMOVE(blocks, block, pending);
		block->on_pending = false;
		spin_unlock(&space->lock);
		vmap_block_purge(block, purge);
	}
}

static void clear_area(struct vmap_area *area, struct vmap_purge *purge)
{
	vmap_purge_clear(purge, area->start, area->start + area->nr_pages * PAGE_SIZE);
}

/* By the holder of the purge lock. The blocks come first: those of claimed areas are gone with
 * them. Returns how many PTEs were cleared. */
static uint64_t purge_claimed(struct vmap_space *space, struct vmap_area_list *areas,
			      struct vmap_pending_list *blocks)
{
	struct vmap_purge purge = {0};
	struct vmap_area *area;

	clear_blocks(space, blocks, &purge);
	TAILQ_FOREACH (area, areas, lazy)
		clear_area(area, &purge);
	purge_flush(space, &purge);
	while ((area = TAILQ_FIRST(areas))) {
		TAILQ_REMOVE(areas, area, lazy);
		vmap_area_release(space, area);
	}
	return purge.cleared;
}

void vmap_purge_lazy(struct vmap_space *space, bool sync)
{
	struct vmap_area_list areas = TAILQ_HEAD_INITIALIZER(areas);
	struct vmap_pending_list none = TAILQ_HEAD_INITIALIZER(none);

	if (sync)
		spin_lock(&purge_lock);
	else if (!spin_trylock(&purge_lock))
		return;
	claim(space, &areas, NULL);
	purge_claimed(space, &areas, &none);
	spin_unlock(&purge_lock);
}

uint64_t vm_unmap_aliases_in(struct vmap_space *space)
{
	struct vmap_area_list areas = TAILQ_HEAD_INITIALIZER(areas);
	struct vmap_pending_list blocks = TAILQ_HEAD_INITIALIZER(blocks);
	uint64_t cleared;

	count_stat(unmap_aliases, 1);
	/* Even if nothing is lazy: what a purge in flight has claimed may not be flushed yet. */
	spin_lock(&purge_lock);
	claim(space, &areas, &blocks);
	cleared = purge_claimed(space, &areas, &blocks);
	spin_unlock(&purge_lock);
	return cleared;
}

/* The area that holds addr. If it is a lazy one without a block it is the caller's then. */
static struct vmap_area *claim_at(struct vmap_space *space, uint64_t addr,
				  enum vmap_purge_result *found)
{
	struct vmap_area *area;

	*found = VMAP_PURGE_NOTHING;
	spin_lock(&space->lock);
	area = vmap_tree_find(&space->tree, addr);
	if (area && !area->block && addr < area->start + area->nr_pages * PAGE_SIZE) {
		*found = area->state == VMAP_LAZY ? VMAP_PURGE_DONE : VMAP_PURGE_LIVE;
		if (area->state == VMAP_LAZY) {
			TAILQ_REMOVE(&space->lazy, area, lazy);
			space->lazy_pages -= area->nr_pages;
		}
	}
	spin_unlock(&space->lock);
	return area;
}

enum vmap_purge_result vm_purge_range_in(struct vmap_space *space, uint64_t addr, uint64_t *cleared)
{
	struct vmap_purge purge = {0};
	enum vmap_purge_result found;
	struct vmap_area *area;

	/* Under it no area and no block is freed, and every lazy area is on the list. */
	spin_lock(&purge_lock);
	area = claim_at(space, addr, &found);
	if (area && area->block)
		found = vmap_block_purge_at(area->block, &purge, addr);
	else if (found == VMAP_PURGE_DONE)
		clear_area(area, &purge);
	purge_flush(space, &purge);
	if (found == VMAP_PURGE_DONE && !area->block)
		vmap_area_release(space, area);
	spin_unlock(&purge_lock);
	*cleared += purge.cleared;
	return found;
}

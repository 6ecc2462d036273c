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

/* Clears the claimed areas, does the one flush for all that was cleared, and frees the areas. */
static void finish(struct vmap_space *space, struct vmap_area_list *areas, struct vmap_purge *purge)
{
	struct vmap_area *area;

	TAILQ_FOREACH (area, areas, lazy)
		vmap_purge_clear(purge, area->start, area->start + area->nr_pages * PAGE_SIZE);
	purge_flush(space, purge);
	while ((area = TAILQ_FIRST(areas))) {
		TAILQ_REMOVE(areas, area, lazy);
		vmap_area_release(space, area);
	}
}

void vmap_purge_lazy(struct vmap_space *space, bool sync)
{
	struct vmap_area_list areas = TAILQ_HEAD_INITIALIZER(areas);
	struct vmap_purge purge = {0};

	if (sync)
		spin_lock(&purge_lock);
	else if (!spin_trylock(&purge_lock))
		return;
	claim(space, &areas, NULL);
	finish(space, &areas, &purge);
	spin_unlock(&purge_lock);
}

uint64_t vm_unmap_aliases_in(struct vmap_space *space)
{
	struct vmap_area_list areas = TAILQ_HEAD_INITIALIZER(areas);
	struct vmap_pending_list blocks = TAILQ_HEAD_INITIALIZER(blocks);
	struct vmap_purge purge = {0};

	count_stat(unmap_aliases, 1);
	/* Even if nothing is lazy: what a purge in flight has claimed may not be flushed yet. */
	spin_lock(&purge_lock);
	claim(space, &areas, &blocks);
	/* The blocks first: those of claimed areas are gone with them. */
	clear_blocks(space, &blocks, &purge);
	finish(space, &areas, &purge);
	spin_unlock(&purge_lock);
	return purge.cleared;
}

/* What holds addr lazily, if anything: an area goes to `claimed`, a block's run is cleared here. */
static enum vmap_purge_result purge_at(struct vmap_space *space, uint64_t addr,
				       struct vmap_purge *purge, struct vmap_area_list *claimed)
{
	enum vmap_purge_result found = VMAP_PURGE_NOTHING;
	struct vmap_block *block = NULL;
	struct vmap_area *area;

	spin_lock(&space->lock);
	area = vmap_tree_find(&space->tree, addr);
	if (area && area->block)
		block = area->block;
	else if (area && addr < area->start + area->nr_pages * PAGE_SIZE)
		found = area->state == VMAP_LIVE ? VMAP_PURGE_LIVE : VMAP_PURGE_DONE;
	if (found == VMAP_PURGE_DONE && area->state == VMAP_LAZY) {
		area->state = VMAP_PURGED;
		TAILQ_REMOVE(&space->lazy, area, lazy);
		TAILQ_INSERT_TAIL(claimed, area, lazy);
		space->lazy_pages -= area->nr_pages;
	}
	spin_unlock(&space->lock);
	return block ? vmap_block_purge_at(block, purge, addr) : found;
}

uint64_t vm_purge_ranges_in(struct vmap_space *space, const uint64_t *addrs, unsigned nr,
			    enum vmap_purge_result *found)
{
	struct vmap_area_list areas = TAILQ_HEAD_INITIALIZER(areas);
	struct vmap_purge purge = {0};

	/* Under it no area and no block is freed, and every lazy area is on the list. */
	spin_lock(&purge_lock);
	for (unsigned i = 0; i < nr; i++) {
		enum vmap_purge_result result = purge_at(space, addrs[i], &purge, &areas);

		if (found)
			found[i] = result;
	}
	finish(space, &areas, &purge);
	spin_unlock(&purge_lock);
	return purge.cleared;
}

/* SPDX-License-Identifier: MIT */
#include "vmap_purge.h"

#include <pte_updates.h>

#include "origin.h"
#include "percpu.h"
#include "pgtable.h"
#include "tlb.h"
#include "vmap.h"

/* Held by the purge in flight: from the first PTE that it clears until the flush is complete and
 * the areas are freed. */
static struct spinlock purge_lock = SPINLOCK_INIT;

/* What vmap_clear() has cleared and the next purge is to flush. By the purge lock. */
static struct vmap_purge owed;

static void extend_purge(struct vmap_purge *purge, uint64_t start, uint64_t end)
{
	bool empty = purge->start == purge->end;

	if (empty || start < purge->start)
		purge->start = start;
	if (empty || end > purge->end)
		purge->end = end;
}

void vmap_purge_flush_too(struct vmap_purge *purge, uint64_t start, uint64_t end)
{
	purge->epoch = clear_epoch_begin();
	extend_purge(purge, start, end);
}

/* Clears the PTEs of [start, end), from `pte` on, within one table. Returns whether the epoch has
 * advanced. */
static bool clear_ptes(struct vmap_purge *purge, struct pte_updates *updates, pte_t *pte,
		       uint64_t start, uint64_t end, bool ticked)
{
	const struct vmap_ops *ops = purge->space->ops;

	for (uint64_t va = start; va < end; va += PAGE_SIZE, pte++) {
		pte_t old = get_pte(pte);

		if (!(old & PTE_P))
			continue;
		/* The host may never see a mapping that is made and removed between two syncs. That
		 * the epoch has advanced, after the unmap and before the PTE is cleared, tells it
		 * that there was one. */
		if (!ticked)
			purge->epoch = clear_epoch_begin();
		ticked = true;
		pte_updates_add(updates, pte, 0);
		purge->cleared++;
		extend_purge(purge, va, va + PAGE_SIZE);
		if (ops->cleared)
			ops->cleared(pte_pfn(old));
	}
	return ticked;
}

void vmap_purge_clear(struct vmap_purge *purge, uint64_t start, uint64_t end)
{
	const uint64_t table_span = PAGE_SIZE * PTRS;
	struct pte_updates updates;
	bool ticked = false;

	pte_updates_init(&updates);
	while (start < end) {
		pte_t *pte = walk_kernel(start, false);
		uint64_t stop = (start | (table_span - 1)) + 1;

		if (stop > end)
			stop = end;
		if (pte)
			ticked = clear_ptes(purge, &updates, pte, start, stop, ticked);
		start = stop;
	}
	pte_updates_finish(&updates);
}

uint64_t vmap_count_stale(struct vmap_space *space, int64_t by)
{
	uint64_t stale = space->stale_pages += (uint64_t)by;

	if (space->common)
		__atomic_store_n(&space->common->lazy_pages, stale, __ATOMIC_RELAXED);
	if (space->history)
		vmap_history_note(space->history, stale);
	return stale;
}

/* Flushes what was cleared. Returns when, if there was anything. */
static struct tlb_flush purge_flush(const struct vmap_purge *purge)
{
	struct vmap_space *space = purge->space;
	struct tlb_flush flush = {0};

	if (purge->start == purge->end)
		return flush;
	flush = flush_tlb_clear_epoch(purge->epoch, purge->start, purge->end);
	count_stat(purges, 1);
	if (space->common) /* under the purge lock */
		__atomic_store_n(&space->common->purges, space->common->purges + 1,
				 __ATOMIC_RELAXED);
	count_stat(purged_pages, purge->cleared);
	spin_lock(&space->lock);
	vmap_count_stale(space, -(int64_t)purge->cleared);
	spin_unlock(&space->lock);
	return flush;
}

/* Begins a purge that includes what is owed, since ending an epoch promises that. What another
 * space owes (in tests only) is flushed at once. */
static struct vmap_purge purge_begin(struct vmap_space *space)
{
	struct vmap_purge purge = {.space = space};

	if (owed.space == space)
		purge = owed;
	else if (owed.space)
		purge_flush(&owed);
	owed = (struct vmap_purge){0};
	return purge;
}

void vmap_clear(struct vmap_space *space, uint64_t start, unsigned nr_pages)
{
	spin_lock(&purge_lock);
	owed = purge_begin(space);
	vmap_purge_clear(&owed, start, start + nr_pages * PAGE_SIZE);
	spin_unlock(&purge_lock);
}

/* The purge has flushed what there was to flush, at that time. */
static void note_purge(const struct vmap_purge *purge, uint64_t since, struct tlb_flush flush)
{
	if (purge->start != purge->end)
		origin_note_purge(since, purge->cleared, flush);
}

/* The same for a purge of what is lazy, whose time is counted. */
static void count_purge(const struct vmap_purge *purge, uint64_t since, struct tlb_flush flush)
{
	count_stat(purge_ticks, rdtsc() - since);
	note_purge(purge, since, flush);
}

void vmap_clear_and_flush(struct vmap_space *space, uint64_t start, unsigned nr_pages)
{
	struct vmap_purge purge;
	struct tlb_flush flush;
	uint64_t since = rdtsc();

	spin_lock(&purge_lock);
	purge = purge_begin(space);
	vmap_purge_clear(&purge, start, start + nr_pages * PAGE_SIZE);
	flush = purge_flush(&purge);
	spin_unlock(&purge_lock);
	note_purge(&purge, since, flush);
}

void vmap_purge_wait(void)
{
	if (!__atomic_load_n(&purge_lock.locked, __ATOMIC_ACQUIRE))
		return;
	spin_lock(&purge_lock);
	spin_unlock(&purge_lock);
}

/* Takes the lazy areas, and with `pending` also the blocks, off the space's lists at once. What
 * other CPUs unmap meanwhile is left to the next purge. */
static void claim_lazy(struct vmap_space *space, struct vmap_area_list *areas,
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
		/* from here on an unmap puts it on the list again */
		spin_lock(&space->lock);
		TAILQ_REMOVE(blocks, block, pending);
		block->on_pending = false;
		spin_unlock(&space->lock);
		vmap_block_purge(block, purge);
	}
}

/* Clears the claimed areas, flushes all that was cleared, and frees the areas. Returns when it
 * flushed, if it did. */
static struct tlb_flush purge_finish(struct vmap_space *space, struct vmap_area_list *areas,
				     struct vmap_purge *purge)
{
	struct tlb_flush flush;
	struct vmap_area *area;

	TAILQ_FOREACH (area, areas, lazy)
		vmap_purge_clear(purge, area->start, area->start + area->nr_pages * PAGE_SIZE);
	flush = purge_flush(purge);
	while ((area = TAILQ_FIRST(areas))) {
		TAILQ_REMOVE(areas, area, lazy);
		vmap_area_release(space, area);
	}
	return flush;
}

void vmap_purge_lazy(struct vmap_space *space, bool sync)
{
	struct vmap_area_list areas = TAILQ_HEAD_INITIALIZER(areas);
	struct vmap_purge purge;
	struct tlb_flush flush;
	uint64_t since = rdtsc();

	if (sync)
		spin_lock(&purge_lock);
	else if (!spin_trylock(&purge_lock))
		return;
	purge = purge_begin(space);
	claim_lazy(space, &areas, NULL);
	flush = purge_finish(space, &areas, &purge);
	spin_unlock(&purge_lock);
	count_purge(&purge, since, flush);
}

uint64_t vm_unmap_aliases_in(struct vmap_space *space)
{
	struct vmap_area_list areas = TAILQ_HEAD_INITIALIZER(areas);
	struct vmap_pending_list blocks = TAILQ_HEAD_INITIALIZER(blocks);
	struct vmap_purge purge;
	struct tlb_flush flush;
	uint64_t since = rdtsc();

	count_stat(unmap_aliases, 1);
	/* Even if nothing is lazy: what a purge in flight has claimed may not be flushed yet. */
	spin_lock(&purge_lock);
	purge = purge_begin(space);
	claim_lazy(space, &areas, &blocks);
	/* The blocks first: a claimed area is freed with its block. */
	clear_blocks(space, &blocks, &purge);
	flush = purge_finish(space, &areas, &purge);
	spin_unlock(&purge_lock);
	count_purge(&purge, since, flush);
	return purge.cleared;
}

/* Claims the lazy area at `addr`, or clears the run of dirty pages of the block there. */
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
	struct vmap_purge purge;
	struct tlb_flush flush;
	uint64_t since = rdtsc();

	/* With this lock held, no area or block is freed, and all lazy areas are on the list. */
	spin_lock(&purge_lock);
	purge = purge_begin(space);
	for (unsigned i = 0; i < nr; i++) {
		enum vmap_purge_result result = purge_at(space, addrs[i], &purge, &areas);

		if (found)
			found[i] = result;
	}
	flush = purge_finish(space, &areas, &purge);
	spin_unlock(&purge_lock);
	count_purge(&purge, since, flush);
	return purge.cleared;
}

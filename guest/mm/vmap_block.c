/* SPDX-License-Identifier: MIT */
#include "vmap_block.h"

#include <stddef.h>

#include "frame.h"
#include "panic.h"
#include "percpu.h"
#include "slab.h"
#include "vmap.h"
#include "vmap_purge.h"

_Static_assert(VMAP_MAX_ALLOC == 64, "an allocation lies within one word of a bitmap");

static struct slab block_slab = SLAB_INIT(struct vmap_block);

unsigned vmap_block_order(unsigned count)
{
	unsigned order = 0;

	while (1u << order < count)
		order++;
	return order;
}

/* The mask of 2^order bits from `bit` on, within its word. */
static uint64_t region_mask(unsigned bit, unsigned order)
{
	uint64_t ones = order == 6 ? ~0ull : (1ull << (1u << order)) - 1;

	return ones << (bit % 64);
}

/* Returns the lowest 2^order clear bits, aligned to 2^order; -1 if there are none. */
static int find_clear_region(const uint64_t *map, unsigned nr_bits, unsigned order)
{
	static const uint64_t starts[] = {
		~0ull,
		0x5555555555555555ull,
		0x1111111111111111ull,
		0x0101010101010101ull,
		0x0001000100010001ull,
		0x0000000100000001ull,
		1ull,
	};

	for (unsigned word = 0; word < nr_bits / 64; word++) {
		uint64_t clear = ~map[word];

		/* after step i, bit b is set if it and the 2^(i+1) - 1 bits after it were */
		for (unsigned i = 0; i < order; i++)
			clear &= clear >> (1u << i);
		clear &= starts[order];
		if (clear)
			return (int)(word * 64) + __builtin_ctzll(clear);
	}
	return -1;
}

static bool test_bit(const uint64_t *map, unsigned bit)
{
	return map[bit / 64] >> bit % 64 & 1;
}

/* The first bit from `bit` on whose value is `value`, or nr_bits. */
static unsigned next_bit(const uint64_t *map, unsigned nr_bits, unsigned bit, bool value)
{
	while (bit < nr_bits) {
		uint64_t word = (value ? map[bit / 64] : ~map[bit / 64]) >> bit % 64;

		if (word)
			return bit + (unsigned)__builtin_ctzll(word);
		bit = (bit / 64 + 1) * 64;
	}
	return nr_bits;
}

static uint64_t block_addr(const struct vmap_block *block, unsigned bit)
{
	return block->area->start + bit * PAGE_SIZE;
}

/* Takes 2^order pages from this block; returns 0 if it has no room. */
static uint64_t take_region(struct vmap_block *block, unsigned order)
{
	int bit = find_clear_region(block->used, block->nr_pages, order);

	if (bit < 0)
		return 0;
	spin_lock(&block->lock);
	block->used[bit / 64] |= region_mask((unsigned)bit, order);
	spin_unlock(&block->lock);
	block->nr_free -= 1u << order;
	if (block->nr_free == 0)
		LIST_REMOVE(block, free);
	return block_addr(block, (unsigned)bit);
}

/* Takes pages from the blocks of this CPU; returns 0 if none has room. */
static uint64_t take_from_queue(struct vmap_block_queue *queue, unsigned order)
{
	struct vmap_block *block;
	uint64_t addr = 0;

	LIST_FOREACH (block, &queue->free, free) {
		addr = take_region(block, order);
		if (addr)
			break;
	}
	return addr;
}

/* Returns a new empty block, which no other CPU sees yet; NULL when out of memory or addresses. */
static struct vmap_block *new_block(struct vmap_space *space)
{
	struct vmap_block *block = slab_alloc(&block_slab);
	struct vmap_area *area;

	if (!block)
		return NULL;
	block->nr_pages = space->block_pages;
	block->nr_free = space->block_pages;
	/* from here on a purge may see the block */
	area = vmap_area_alloc(space, space->block_pages, space->block_pages * PAGE_SIZE, block);
	if (!area) {
		slab_free(&block_slab, block);
		return NULL;
	}
	return block;
}

/* If nothing of the block is mapped, makes all of its unused pages dirty, so that it gets freed.
 * Only its own CPU does this, and only that CPU uses its pages. */
static bool retire_block(struct vmap_block *block)
{
	bool idle;

	spin_lock(&block->lock);
	idle = block->nr_dirty + block->nr_free == block->nr_pages;
	for (unsigned i = 0; idle && i < block->nr_pages / 64; i++) {
		block->flushed[i] |= ~block->used[i];
		block->used[i] = block->dirty[i] = ~0ull;
	}
	if (idle)
		block->nr_dirty = block->nr_pages;
	spin_unlock(&block->lock);
	return idle;
}

/* Frees blocks in which nothing is mapped and which have no room for what is asked for. Otherwise
 * they would accumulate for ever, as in Linux until 02b709df817c. */
static void retire_idle_blocks(struct vmap_space *space, struct vmap_block_queue *queue)
{
	struct vmap_block *next;

	for (struct vmap_block *block = LIST_FIRST(&queue->free); block; block = next) {
		next = LIST_NEXT(block, free);
		if (!retire_block(block))
			continue;
		block->nr_free = 0;
		LIST_REMOVE(block, free);
		vmap_area_free_lazy(space, block->area);
	}
}

uint64_t vmap_block_alloc(struct vmap_space *space, unsigned order)
{
	struct vmap_block_queue *queue = &space->queues[this_cpu()->id];
	uint64_t addr = take_from_queue(queue, order);
	struct vmap_block *block;

	if (addr)
		return addr;
	retire_idle_blocks(space, queue);
	block = new_block(space);
	if (!block)
		return 0;
	LIST_INSERT_HEAD(&queue->free, block, free);
	return take_region(block, order); /* it has more pages than any request */
}

/* Puts the block on the list of pending ones if it is not there yet. Under the block's lock. */
static void note_pending(struct vmap_space *space, struct vmap_block *block)
{
	if (block->waiting)
		return;
	block->waiting = true;
	spin_lock(&space->lock);
	if (!block->on_pending) {
		block->on_pending = true;
		TAILQ_INSERT_TAIL(&space->pending, block, pending);
	}
	spin_unlock(&space->lock);
}

void vmap_block_free(struct vmap_space *space, struct vmap_block *block, uint64_t addr,
		     unsigned order)
{
	unsigned bit = (unsigned)((addr - block->area->start) / PAGE_SIZE);
	struct vmap_area *area = block->area;
	uint64_t mask = region_mask(bit, order);
	bool all_dirty;

	if (bit % (1u << order))
		panic("vm_unmap_ram: %#lx is not where %u pages were mapped", addr, 1u << order);
	spin_lock(&block->lock);
	if ((block->used[bit / 64] & mask) != mask)
		panic("vm_unmap_ram: %u pages at %#lx were never mapped", 1u << order, addr);
	if (block->dirty[bit / 64] & mask)
		panic("vm_unmap_ram: %u pages at %#lx were unmapped before", 1u << order, addr);
	block->dirty[bit / 64] |= mask;
	block->nr_dirty += 1u << order;
	note_pending(space, block);
	all_dirty = block->nr_dirty == block->nr_pages;
	spin_unlock(&block->lock);
	/* All pages are dirty, so the block has left its queue, and no other CPU can get here. */
	if (all_dirty)
		vmap_area_free_lazy(space, area);
}

/* Takes the pages that wait for a purge. Under the block's lock. */
static void take_pending(struct vmap_block *block, uint64_t *pending)
{
	for (unsigned i = 0; i < block->nr_pages / 64; i++) {
		pending[i] = block->dirty[i] & ~block->flushed[i];
		block->flushed[i] |= pending[i];
	}
	block->waiting = false;
}

/* As Linux once did: purges from the first dirty page to the last, at every purge. Under the
 * block's lock. */
static void flush_dirty_again(struct vmap_block *block, struct vmap_purge *purge)
{
	unsigned nr = block->nr_pages, first = next_bit(block->dirty, nr, 0, true), end = nr;

	while (end > first && !test_bit(block->dirty, end - 1))
		end--;
	if (first < end)
		vmap_purge_flush_too(purge, block_addr(block, first), block_addr(block, end));
	note_pending(purge->space, block);
}

void vmap_block_purge(struct vmap_block *block, struct vmap_purge *purge)
{
	uint64_t pending[VMAP_BLOCK_PAGES_MAX / 64];
	enum vmap_bug bug = purge->space->bug;
	unsigned nr = block->nr_pages;

	if (bug == VMAP_BUG_FULL_BLOCKS && next_bit(block->used, nr, 0, false) == nr)
		return;
	/* The lock is needed for the copy only: dirty pages are not used again, and there is only
	 * one purge. */
	spin_lock(&block->lock);
	take_pending(block, pending);
	if (bug == VMAP_BUG_REFLUSH)
		flush_dirty_again(block, purge);
	spin_unlock(&block->lock);

	for (unsigned end, bit = next_bit(pending, nr, 0, true); bit < nr;
	     bit = next_bit(pending, nr, end, true)) {
		end = next_bit(pending, nr, bit, false);
		vmap_purge_clear(purge, block_addr(block, bit), block_addr(block, end));
	}
}

/* Is the page dirty, with its PTE still there? Under the block's lock. */
static bool is_pending(const struct vmap_block *block, unsigned bit)
{
	return test_bit(block->dirty, bit) && !test_bit(block->flushed, bit);
}

/* Takes the run of pending pages around `bit`, which is pending. Under the block's lock. */
static void take_run(struct vmap_block *block, unsigned bit, unsigned *first, unsigned *end)
{
	*first = bit;
	while (*first > 0 && is_pending(block, *first - 1))
		(*first)--;
	*end = bit + 1;
	while (*end < block->nr_pages && is_pending(block, *end))
		(*end)++;
	for (unsigned i = *first; i < *end; i++)
		block->flushed[i / 64] |= 1ull << i % 64;
}

enum vmap_purge_result vmap_block_purge_at(struct vmap_block *block, struct vmap_purge *purge,
					   uint64_t addr)
{
	unsigned bit = (unsigned)((addr - block->area->start) / PAGE_SIZE);
	enum vmap_purge_result found = VMAP_PURGE_NOTHING;
	unsigned first = 0, end = 0;

	spin_lock(&block->lock);
	if (is_pending(block, bit)) {
		found = VMAP_PURGE_DONE;
		take_run(block, bit, &first, &end);
	} else if (test_bit(block->used, bit) && !test_bit(block->dirty, bit)) {
		found = VMAP_PURGE_LIVE;
	}
	spin_unlock(&block->lock);
	vmap_purge_clear(purge, block_addr(block, first), block_addr(block, end));
	return found;
}

void vmap_block_release(struct vmap_block *block)
{
	slab_free(&block_slab, block);
}

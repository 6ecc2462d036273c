/* SPDX-License-Identifier: MIT */
/*
 * Vmap blocks, from which vm_map_ram() takes small mappings without touching the area tree.
 *
 * A block is an area of up to 4 MiB that belongs to one CPU's queue, with three bitmaps over its
 * pages. Each page is used once: when it is unmapped it becomes *dirty*, keeps its PTE, and is not
 * used again. A purge clears the PTEs of dirty pages, which makes them *flushed*, but does not free
 * their space. When all pages of a block are dirty, its area becomes lazy, and the purge that frees
 * the area frees the block. The same happens to a block in which nothing is mapped, if its CPU
 * needs a new block because this one has no room for a request.
 */
#ifndef GUEST_VMAP_BLOCK_H
#define GUEST_VMAP_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <cpu.h>
#include <spinlock.h>

#define VMAP_BLOCK_PAGES_MAX 1024u /* 4 MiB */
#define VMAP_BLOCK_PAGES_MIN 128u
#define VMAP_MAX_ALLOC       64u /* the largest mapping taken from a block: one word of a bitmap */

struct vmap_area;
struct vmap_purge;
struct vmap_space;

struct vmap_block {
	/* Set once, at creation. */
	struct vmap_area *area;
	unsigned nr_pages;

	struct spinlock lock; /* guards the fields up to the next comment */
	unsigned nr_dirty;    /* number of dirty pages */
	bool waiting;         /* pages became dirty since the last purge of the whole block */
	uint64_t used[VMAP_BLOCK_PAGES_MAX / 64];
	uint64_t dirty[VMAP_BLOCK_PAGES_MAX / 64];
	uint64_t flushed[VMAP_BLOCK_PAGES_MAX / 64];

	/* Used by the CPU that owns the block, without a lock. */
	unsigned nr_free;            /* pages not used so far */
	LIST_ENTRY(vmap_block) free; /* on the CPU's queue while nr_free > 0 */

	/* Guarded by the lock of the space. */
	TAILQ_ENTRY(vmap_block) pending;
	bool on_pending; /* the block is in space->pending */
};

LIST_HEAD(vmap_block_list, vmap_block);
TAILQ_HEAD(vmap_pending_list, vmap_block);

/* The blocks of one CPU that have free pages. Used by that CPU alone: a block leaves the queue
 * before all its pages can become dirty and it is freed. */
struct vmap_block_queue {
	__cacheline struct vmap_block_list free;
};

/* What a purge found at an address. */
enum vmap_purge_result {
	VMAP_PURGE_NOTHING, /* nothing is mapped there */
	VMAP_PURGE_LIVE,    /* a live mapping: left alone */
	VMAP_PURGE_DONE,    /* it was held lazily, and is cleared now */
};

/* Returns the smallest order with 2^order >= count; count is 1..VMAP_MAX_ALLOC. */
unsigned vmap_block_order(unsigned count);

/* Takes 2^order pages from the blocks of this CPU; makes a new block if none has room. Returns the
 * address, or 0 when out of memory or address space. */
uint64_t vmap_block_alloc(struct vmap_space *space, unsigned order);

/* Unmaps the 2^order pages at `addr`: they become dirty. If all pages of the block are dirty then,
 * its area becomes lazy. Panics if vmap_block_alloc() did not return these pages, or if they are
 * dirty already. The caller must not use the block afterwards. */
void vmap_block_free(struct vmap_space *space, struct vmap_block *block, uint64_t addr,
		     unsigned order);

/* Clears the PTEs of all dirty pages that are not flushed yet. Called by the purge in flight. */
void vmap_block_purge(struct vmap_block *block, struct vmap_purge *purge);

/* The same for the run of dirty pages around `addr` only. Called by the purge in flight. */
enum vmap_purge_result vmap_block_purge_at(struct vmap_block *block, struct vmap_purge *purge,
					   uint64_t addr);

/* Frees the block, whose area is freed, to the slab. */
void vmap_block_release(struct vmap_block *block);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Vmap blocks: what vm_map_ram() serves small mappings from, without touching the area tree.
 *
 * A block is an area of up to 4 MiB that belongs to the queue of one CPU, and three bitmaps over
 * its pages. A page is handed out once: when it comes back it is *dirty*, its PTE stays, and it is
 * not handed out again. A purge clears the PTEs of dirty pages (they are *flushed* then) but does
 * not free the space. When all of the block is dirty its area becomes a lazy one, and the purge
 * that frees the area frees the block. So does a block that nothing is mapped in any more, when its
 * CPU needs a new one because it has no room for what is asked for.
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
#define VMAP_MAX_ALLOC       64u /* largest mapping served from a block: one word of a bitmap */

struct vmap_area;
struct vmap_purge;
struct vmap_space;

struct vmap_block {
	/* Set once. */
	struct vmap_area *area;
	unsigned nr_pages;

	struct spinlock lock; /* of the fields up to the next comment */
	unsigned nr_dirty;    /* pages that came back */
	bool waiting;         /* some of them came back since the last purge of all of the block */
	uint64_t used[VMAP_BLOCK_PAGES_MAX / 64];
	uint64_t dirty[VMAP_BLOCK_PAGES_MAX / 64];
	uint64_t flushed[VMAP_BLOCK_PAGES_MAX / 64];

	/* By the CPU whose block this is, without a lock. */
	unsigned nr_free;            /* pages never handed out so far */
	LIST_ENTRY(vmap_block) free; /* on the queue while nr_free > 0 */

	/* By the lock of the space. */
	TAILQ_ENTRY(vmap_block) pending;
	bool on_pending; /* on the space's list of blocks that may have something to flush */
};

LIST_HEAD(vmap_block_list, vmap_block);
TAILQ_HEAD(vmap_pending_list, vmap_block);

/* One for each CPU, by that CPU alone: a block that can become wholly dirty, and so be freed, has
 * left the queue before. */
struct vmap_block_queue {
	__cacheline struct vmap_block_list free;
};

/* What a purge found at an address. */
enum vmap_purge_result {
	VMAP_PURGE_NOTHING, /* nothing is mapped there (any more) */
	VMAP_PURGE_LIVE,    /* somebody's mapping: left alone */
	VMAP_PURGE_DONE,    /* was held lazily: cleared */
};

/* Smallest order with 2^order >= count; count is 1..VMAP_MAX_ALLOC. */
unsigned vmap_block_order(unsigned count);

/* Takes 2^order pages from the blocks of this CPU, making a new block if none has room. Returns
 * the address, or 0 when out of memory or of address space. */
uint64_t vmap_block_alloc(struct vmap_space *space, unsigned order);

/* The 2^order pages at `addr` come back: they become dirty, the last of them make the area of the
 * block lazy. Panics if they aren't what vmap_block_alloc() gave, or came back before. The block
 * must not be used by the caller afterwards. */
void vmap_block_free(struct vmap_space *space, struct vmap_block *block, uint64_t addr,
		     unsigned order);

/* Clears the PTEs of all dirty pages that were not flushed so far. By the purge in flight. */
void vmap_block_purge(struct vmap_block *block, struct vmap_purge *purge);

/* The same for the run of dirty pages around `addr` alone. By the purge in flight. */
enum vmap_purge_result vmap_block_purge_at(struct vmap_block *block, struct vmap_purge *purge,
					   uint64_t addr);

/* Its area is gone: the block goes back to the slab. */
void vmap_block_release(struct vmap_block *block);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Purges, for the parts of the allocator. One purge is in flight at a time, under the purge lock.
 * So it may use the clock of tlb.h: the purge that ends an epoch flushes all that was cleared up to
 * that epoch.
 */
#ifndef VMAP_PURGE_H
#define VMAP_PURGE_H

#include <stdbool.h>
#include <stdint.h>

struct vmap_space;

/* The purge in flight. The epoch advances once for each area, or run of pages, that has PTEs to
 * clear. */
struct vmap_purge {
	struct vmap_space *space;
	uint64_t epoch;      /* the epoch in which it cleared PTEs last */
	uint64_t start, end; /* the range to flush: [start, end), empty at first */
	uint64_t cleared;    /* PTEs cleared */
};

/* Clears the PTEs in [start, end). */
void vmap_purge_clear(struct vmap_purge *purge, uint64_t start, uint64_t end);

/* Adds [start, end) to the range to flush, whether PTEs were cleared there or not. */
void vmap_purge_flush_too(struct vmap_purge *purge, uint64_t start, uint64_t end);

/* Purges all lazy areas. If a purge is in flight: with `sync` waits for it and then purges,
 * otherwise leaves the work to that purge. */
void vmap_purge_lazy(struct vmap_space *space, bool sync);

/* The number of stale PTEs has changed by `by`. Under the space's lock. Returns the new number. */
uint64_t vmap_count_stale(struct vmap_space *space, int64_t by);

#endif

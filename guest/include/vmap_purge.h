/* SPDX-License-Identifier: MIT */
/*
 * Purges, seen from within the allocator. One is in flight at a time, under the purge lock, which
 * is what lets it move the clock of alias_abi.h: all that was cleared up to an epoch is flushed by
 * the purge that moves the clock there.
 */
#ifndef VMAP_PURGE_H
#define VMAP_PURGE_H

#include <stdbool.h>
#include <stdint.h>

struct vmap_space;

/* The purge in flight. The clock ticks only if there is something to flush: once for each area or
 * run of pages. */
struct vmap_purge {
	struct vmap_space *space;
	uint64_t epoch;      /* of what it cleared last */
	uint64_t start, end; /* all that is to be flushed lies in [start, end), empty at first */
	uint64_t cleared;    /* PTEs */
};

/* Clears what PTEs there are in [start, end). */
void vmap_purge_clear(struct vmap_purge *purge, uint64_t start, uint64_t end);

/* Has [start, end) flushed, whatever was cleared there. */
void vmap_purge_flush_too(struct vmap_purge *purge, uint64_t start, uint64_t end);

/* Purges all lazy areas. `sync`: waits for its turn; otherwise leaves it to a purge in flight. */
void vmap_purge_lazy(struct vmap_space *space, bool sync);

#endif

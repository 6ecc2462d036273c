/* SPDX-License-Identifier: MIT */
/*
 * Purges, seen from within the allocator. One is in flight at a time, under the purge lock, which
 * is what lets it move the clock of alias_abi.h: all that was cleared under an epoch is flushed by
 * the purge that began it.
 */
#ifndef VMAP_PURGE_H
#define VMAP_PURGE_H

#include <stdbool.h>
#include <stdint.h>

struct vmap_space;

/* The purge in flight. The clock ticks only if it clears something. */
struct vmap_purge {
	uint64_t epoch;      /* of what it clears */
	uint64_t start, end; /* all it cleared lies in [start, end) */
	uint64_t cleared;    /* PTEs */
};

/* Clears what PTEs there are in [start, end). */
void vmap_purge_clear(struct vmap_purge *purge, uint64_t start, uint64_t end);

/* Purges all lazy areas. `sync`: waits for its turn; otherwise leaves it to a purge in flight. */
void vmap_purge_lazy(struct vmap_space *space, bool sync);

#endif

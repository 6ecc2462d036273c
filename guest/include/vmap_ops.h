/* SPDX-License-Identifier: MIT */
/* Hooks of a strategy: called when frames are mapped and unmapped in a vmap space. */
#ifndef VMAP_OPS_H
#define VMAP_OPS_H

#include <stdint.h>

struct vmap_space;

/* Each function may be NULL. If all are, an unmap only marks the area. */
struct vmap_ops {
	/* Before a PTE for the frame is written. */
	void (*mapped)(uint64_t pfn);
	/* After such a PTE was cleared; TLBs may hold it until the purge in flight is complete. */
	void (*cleared)(uint64_t pfn);
	/* While pages are unmapped, before they are lazy; their PTEs still exist. */
	void (*unmap)(struct vmap_space *space, uint64_t start, unsigned nr_pages);
	/* After they have become lazy. */
	void (*unmapped)(struct vmap_space *space);
};

#endif

/* SPDX-License-Identifier: MIT */
/* What a strategy may do when frames are mapped and unmapped in a vmap space. */
#ifndef VMAP_OPS_H
#define VMAP_OPS_H

#include <stdint.h>

struct vmap_space;

/* Each function may be NULL: then an unmap only marks the area. */
struct vmap_ops {
	/* A PTE for the frame is going to be written. */
	void (*mapped)(uint64_t pfn);
	/* Such a PTE was cleared; TLBs may hold it until the purge in flight is through. */
	void (*cleared)(uint64_t pfn);
	/* These pages are being unmapped: not held lazily yet, the PTEs still there. */
	void (*unmap)(struct vmap_space *space, uint64_t start, unsigned nr_pages);
	/* They are held lazily now. */
	void (*unmapped)(struct vmap_space *space);
};

#endif

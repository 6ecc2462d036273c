/* SPDX-License-Identifier: MIT */
/*
 * The address ranges of a vmap space.
 *
 * All areas of a space, live and lazy, are in one red-black tree, ordered by address. Each knows
 * the free gap right below it and the largest such gap in its subtree, so one walk down the tree
 * finds the lowest gap that fits. An empty area at the end of the space has the gap behind the last
 * area.
 *
 * There are no locks or allocations here, and no page tables: these are the caller's.
 */
#ifndef GUEST_VMAP_AREA_H
#define GUEST_VMAP_AREA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <bsd/sys/tree.h>

struct vmap_block;

enum vmap_state {
	VMAP_LIVE,   /* mapped and in use */
	VMAP_LAZY,   /* unmapped; its PTEs stay until a purge, which frees it */
	VMAP_PURGED, /* lazy, and taken by the purge in flight */
};

/* The fields from `state` on belong to the owner of the tree. Its lock: struct vmap_space. */
struct vmap_area {
	RB_ENTRY(vmap_area) node;
	uint64_t start; /* [start, end), bytes, guard page included */
	uint64_t end;
	uint64_t gap;     /* free bytes right below `start` */
	uint64_t gap_max; /* largest `gap` in the subtree whose root this is */
	enum vmap_state state;
	unsigned nr_pages;        /* without the guard page */
	struct vmap_block *block; /* the vmap block whose area this is, or NULL */
	TAILQ_ENTRY(vmap_area) lazy;
};

RB_HEAD(vmap_rb, vmap_area);
TAILQ_HEAD(vmap_area_list, vmap_area);

struct vmap_tree {
	struct vmap_rb root;
	struct vmap_area last; /* [hi, hi) */
	uint64_t lo;
};

/* Initialises an empty space [lo, hi), page-aligned. The tree must not move in memory
 * afterwards. */
void vmap_tree_init(struct vmap_tree *tree, uint64_t lo, uint64_t hi);

/* Takes the lowest free range of `size` bytes at a multiple of `align`, sets start and end of `va`,
 * and inserts it. `size` is a multiple of the page size and not 0; `align` is a power of two, at
 * least a page. O(log n) if `align` is a page; with more, gaps that are large enough but badly
 * aligned are tried one by one. Returns false if nothing fits. */
bool vmap_tree_take(struct vmap_tree *tree, struct vmap_area *va, uint64_t size, uint64_t align);

/* Removes `va`, which must be in the tree; its range is free again. */
void vmap_tree_remove(struct vmap_tree *tree, struct vmap_area *va);

/* Returns the area with start <= addr < end, or NULL. O(log n). */
struct vmap_area *vmap_tree_find(struct vmap_tree *tree, uint64_t addr);

/* Returns the area above `va`, the lowest one if `va` is NULL, or NULL if there is none. */
struct vmap_area *vmap_tree_next(struct vmap_tree *tree, struct vmap_area *va);

/* Number of areas in the tree. Linear; for tests. */
unsigned vmap_tree_count(struct vmap_tree *tree);

/* Recomputes all gaps the slow way. Returns NULL, or a sentence about what is wrong. Linear; for
 * tests. */
const char *vmap_tree_check(struct vmap_tree *tree);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Address space of the lazy vmap allocator: which ranges are taken.
 *
 * All areas of a space, live and lazy ones, hang in one red-black tree keyed by address. Each
 * knows the gap of free space right below it, and the largest such gap in its subtree, so the
 * lowest gap that fits is found by one walk down. An empty area at the very end of the space
 * stands for the gap behind the last one.
 *
 * Nothing here locks, allocates or knows of page tables: the owner of the tree does.
 */
#ifndef GUEST_VMAP_AREA_H
#define GUEST_VMAP_AREA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <bsd/sys/tree.h>

struct vmap_block;

enum vmap_state {
	VMAP_LIVE,   /* mapped for somebody */
	VMAP_LAZY,   /* given back; its PTEs stay until a purge, which frees it */
	VMAP_PURGED, /* lazy, and picked out by the purge in flight */
};

/* Fields below `state` belong to the owner of the tree; see struct vmap_space for its lock. */
struct vmap_area {
	RB_ENTRY(vmap_area) node;
	uint64_t start; /* bytes, [start, end): the guard page is inside */
	uint64_t end;
	uint64_t gap;     /* free bytes right below `start` */
	uint64_t gap_max; /* largest `gap` in the subtree whose root this is */
	enum vmap_state state;
	unsigned nr_pages;        /* mapped, guard page not counted */
	struct vmap_block *block; /* served from by vm_map_ram, or NULL */
	TAILQ_ENTRY(vmap_area) lazy;
};

RB_HEAD(vmap_rb, vmap_area);
TAILQ_HEAD(vmap_area_list, vmap_area);

struct vmap_tree {
	struct vmap_rb root;
	struct vmap_area last; /* [hi, hi) */
	uint64_t lo;
};

/* An empty space [lo, hi), page-aligned. The tree must not move in memory afterwards. */
void vmap_tree_init(struct vmap_tree *tree, uint64_t lo, uint64_t hi);

/* Takes the lowest free range of `size` bytes that starts at a multiple of `align`, sets start and
 * end of `va` and inserts it. O(log n) for page alignment; with a larger one, gaps that would do
 * but for the alignment are looked at one by one. Returns false if nothing fits.
 * `size`: multiple of the page size, not 0. `align`: power of two, at least a page. */
bool vmap_tree_take(struct vmap_tree *tree, struct vmap_area *va, uint64_t size, uint64_t align);

/* Gives the range of `va`, which must be in the tree, back. */
void vmap_tree_remove(struct vmap_tree *tree, struct vmap_area *va);

/* The area with start <= addr < end, or NULL. O(log n). */
struct vmap_area *vmap_tree_find(struct vmap_tree *tree, uint64_t addr);

/* The area above `va`, the lowest one for NULL; NULL at the end. */
struct vmap_area *vmap_tree_next(struct vmap_tree *tree, struct vmap_area *va);

/* Number of areas in the tree. Linear; for tests. */
unsigned vmap_tree_count(struct vmap_tree *tree);

/* Recomputes every gap and every maximum the slow way. Returns NULL, or what is wrong, in words.
 * Linear; for tests. */
const char *vmap_tree_check(struct vmap_tree *tree);

#endif

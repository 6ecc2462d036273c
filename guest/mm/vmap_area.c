/* SPDX-License-Identifier: MIT */
#include "vmap_area.h"

#include <stddef.h>

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t subtree_gap(const struct vmap_area *va)
{
	uint64_t gap = va->gap;

	if (RB_LEFT(va, node))
		gap = max_u64(gap, RB_LEFT(va, node)->gap_max);
	if (RB_RIGHT(va, node))
		gap = max_u64(gap, RB_RIGHT(va, node)->gap_max);
	return gap;
}

static inline void update_gap_max(struct vmap_area *va)
{
	va->gap_max = subtree_gap(va);
}

static int compare_areas(const struct vmap_area *a, const struct vmap_area *b)
{
	return (a->start > b->start) - (a->start < b->start);
}

/* Called by the tree whenever a node gets other children. It does not propagate the change to the
 * root; update_path() does. */
#undef RB_AUGMENT
#define RB_AUGMENT(va) update_gap_max(va)

RB_GENERATE_INTERNAL(vmap_rb, vmap_area, node, compare_areas, __attribute__((unused)) static)

/* The tree has changed at or below `va`: updates the maxima from there to the root. */
static void update_path(struct vmap_area *va)
{
	for (; va; va = RB_PARENT(va, node))
		update_gap_max(va);
}

/* Only the gap of `va` has changed. */
static void update_gap(struct vmap_area *va)
{
	uint64_t before;

	do {
		before = va->gap_max;
		update_gap_max(va);
	} while (va->gap_max != before && (va = RB_PARENT(va, node)));
}

void vmap_tree_init(struct vmap_tree *tree, uint64_t lo, uint64_t hi)
{
	RB_INIT(&tree->root);
	tree->lo = lo;
	tree->last = (struct vmap_area){.start = hi, .end = hi, .gap = hi - lo};
	tree->last.gap_max = tree->last.gap;
	RB_INSERT(vmap_rb, &tree->root, &tree->last);
}

/* Returns the lowest address in the gap below `va` where the range fits, or 0. */
static uint64_t fit_below(const struct vmap_area *va, uint64_t size, uint64_t align)
{
	uint64_t low = va->start - va->gap;
	uint64_t start = (low + align - 1) & ~(align - 1);

	return start >= low && start <= va->start && va->start - start >= size ? start : 0;
}

static struct vmap_area *leftmost(struct vmap_area *va, uint64_t size)
{
	while (RB_LEFT(va, node) && RB_LEFT(va, node)->gap_max >= size)
		va = RB_LEFT(va, node);
	return va;
}

/* Returns the next area, in order of address, that has a gap of `size`; skips subtrees without
 * one. */
static struct vmap_area *next_candidate(struct vmap_area *va, uint64_t size)
{
	struct vmap_area *from;

	if (RB_RIGHT(va, node) && RB_RIGHT(va, node)->gap_max >= size)
		return leftmost(RB_RIGHT(va, node), size);
	do {
		from = va;
		va = RB_PARENT(va, node);
	} while (va && from == RB_RIGHT(va, node));
	return va;
}

bool vmap_tree_take(struct vmap_tree *tree, struct vmap_area *va, uint64_t size, uint64_t align)
{
	struct vmap_area *above = leftmost(RB_ROOT(&tree->root), size);
	uint64_t start = 0;

	while (above && !(start = fit_below(above, size, align)))
		above = next_candidate(above, size);
	if (!above)
		return false;

	va->start = start;
	va->end = start + size;
	va->gap = start - (above->start - above->gap);
	va->gap_max = va->gap;
	above->gap = above->start - va->end;
	RB_INSERT(vmap_rb, &tree->root, va);
	update_path(va);
	update_gap(above);
	return true;
}

void vmap_tree_remove(struct vmap_tree *tree, struct vmap_area *va)
{
	struct vmap_area *above = RB_NEXT(vmap_rb, &tree->root, va);
	struct vmap_area *parent = RB_PARENT(va, node);

	above->gap += va->end - va->start + va->gap;
	RB_REMOVE(vmap_rb, &tree->root, va);
	update_path(parent);
	update_gap(above);
}

struct vmap_area *vmap_tree_find(struct vmap_tree *tree, uint64_t addr)
{
	struct vmap_area *va = RB_ROOT(&tree->root);

	while (va && (addr < va->start || addr >= va->end))
		va = addr < va->start ? RB_LEFT(va, node) : RB_RIGHT(va, node);
	return va;
}

struct vmap_area *vmap_tree_next(struct vmap_tree *tree, struct vmap_area *va)
{
	va = va ? RB_NEXT(vmap_rb, &tree->root, va) : RB_MIN(vmap_rb, &tree->root);
	return va == &tree->last ? NULL : va;
}

unsigned vmap_tree_count(struct vmap_tree *tree)
{
	struct vmap_area *va;
	unsigned count = 0;

	RB_FOREACH (va, vmap_rb, &tree->root)
		count++;
	return count - 1; /* the empty one at the end */
}

const char *vmap_tree_check(struct vmap_tree *tree)
{
	struct vmap_area *va;
	uint64_t end = tree->lo;

	RB_FOREACH (va, vmap_rb, &tree->root) {
		if (va->start < end)
			return "two areas overlap";
		if (va->gap != va->start - end)
			return "an area is wrong about the gap below it";
		if (va->gap_max != subtree_gap(va))
			return "an area is wrong about the largest gap in its subtree";
		if (va == &tree->last)
			return NULL;
		end = va->end;
	}
	return "the end of the space is not in the tree";
}

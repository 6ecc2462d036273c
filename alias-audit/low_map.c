/* SPDX-License-Identifier: MIT */
#include "low_map.h"

#include "entry.h"
#include "sorted.h"
#include "walk.h"

struct describe {
	struct low_map *low;
	const struct physmem *mem;
	const uint64_t *tables;
	size_t nr;
};

/* How many of the tables are below this frame. */
static size_t tables_below(const struct describe *describe, uint64_t pfn)
{
	return sorted_below(describe->tables, describe->nr, sizeof(*describe->tables), pfn);
}

static bool take_leaf(void *ctx, const struct walk_leaf *leaf)
{
	const struct describe *describe = ctx;
	uint64_t pfn = leaf->gpa >> FRAME_SHIFT;
	uint64_t nr = 1ull << (pte_shift(leaf->level) - FRAME_SHIFT);

	if (!leaf->writable || leaf->user)
		return true;
	describe->low->frames += physmem_count(describe->mem, pfn, nr);
	describe->low->tables += tables_below(describe, pfn + nr) - tables_below(describe, pfn);
	describe->low->identity &= leaf->va == leaf->gpa;
	return true;
}

int low_map_describe(struct low_map *low, struct physmem *mem, uint64_t root_pfn, unsigned levels,
		     const uint64_t *tables, size_t nr)
{
	struct describe describe = {low, mem, tables, nr};

	*low = (struct low_map){.pfn = root_pfn, .identity = true};
	return walk_leaves(mem, root_pfn, levels, 0, KERNEL_HALF, take_leaf, &describe);
}

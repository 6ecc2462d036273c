/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <errno.h>
#include "entry.h"

struct walk {
	struct physmem *mem;
	unsigned levels;
	walk_visit *visit;
	void *ctx;
	struct map seen; /* pfn, level and rights of a table */
	int error;
};

/* A table, and how it was reached. */
struct reached {
	uint64_t pfn, va;
	unsigned level;
	uint64_t rights; /* PTE_RW, PTE_US, and PTE_NX, which takes one away */
};

/* Has the table not been walked like this? From now on it has. */
static bool is_new(struct walk *walk, const struct reached *table)
{
	uint64_t rights = (table->rights & (PTE_RW | PTE_US)) >> 1 | table->rights >> 63 << 2;
	struct map_slot *slot = map_make(&walk->seen, table->pfn << 6 | rights << 3 | table->level);

	if (!slot) {
		walk->error = -ENOMEM;
		return false;
	}
	if (slot->value)
		return false;
	slot->value = 1;
	return true;
}

static uint64_t rights_below(uint64_t rights, uint64_t entry)
{
	return (rights & entry & (PTE_RW | PTE_US)) | ((rights | entry) & PTE_NX);
}

static struct walk_leaf leaf_of(uint64_t entry, const struct reached *at, unsigned index,
				uint64_t pfn)
{
	return (struct walk_leaf){
		.va = at->va,
		.gpa = entry_leaf_gpa(entry, at->level),
		.pte_gpa = (pfn << FRAME_SHIFT) + 8 * index,
		.pte = entry,
		.level = at->level,
		.writable = at->rights & PTE_RW,
		.user = at->rights & PTE_US,
		.exec = !(at->rights & PTE_NX),
	};
}

/* Returns false when the walk is to end. At most five levels deep. */
static bool walk_table(struct walk *walk, const struct reached *table, unsigned first, unsigned end)
{
	const uint64_t *entries;

	if (!is_new(walk, table))
		return !walk->error;
	entries = physmem_table(walk->mem, table->pfn);
	if (!entries) {
		walk->error = walk->mem->exhausted ? -ENOMEM : 0;
		return !walk->error;
	}
	for (unsigned i = first; i < end; i++) {
		uint64_t entry = entries[i];
		struct reached at = {
			.va = va_canonical(entry_va(table->va, i, table->level), walk->levels),
			.level = table->level,
			.rights = rights_below(table->rights, entry)};

		if (!(entry & PTE_P))
			continue;
		if (entry_is_leaf(entry, table->level)) {
			struct walk_leaf leaf = leaf_of(entry, &at, i, table->pfn);

			if (!walk->visit(walk->ctx, &leaf))
				return false;
		} else if (!(entry & PTE_PS)) {
			at.pfn = (entry & PTE_ADDR) >> FRAME_SHIFT;
			at.level--;
			if (!walk_table(walk, &at, 0, ENTRIES))
				return false;
		}
	}
	return true;
}

int walk_leaves(struct physmem *mem, uint64_t root_pfn, unsigned levels, unsigned first,
		unsigned end, walk_visit *visit, void *ctx)
{
	struct walk walk = {.mem = mem, .levels = levels, .visit = visit, .ctx = ctx};
	struct reached top = {.pfn = root_pfn, .level = levels, .rights = PTE_RW | PTE_US};

	map_init(&walk.seen, mem->copies.seed);
	walk_table(&walk, &top, first, end);
	map_clear(&walk.seen);
	return walk.error;
}

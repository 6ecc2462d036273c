/* SPDX-License-Identifier: MIT */
/* One virtual address of an entry, by a path by which it counts. */
#include "internal.h"

/* Which paths to a role will do. */
struct wanted {
	bool writable;
	uint32_t avoid; /* not one that reaches it at this place; PLACE_NONE: at any */
	uint64_t va;    /* of that place */
};

/* From now on the way to a table of this level is looked for, and it is not to be at va. */
static void wanted_avoid(const struct alias_tracker *at, struct wanted *wanted, uint64_t va,
			 unsigned level)
{
	bool possible = va % (1ull << pte_shift(level + 1)) == 0;

	wanted->va = va;
	wanted->avoid = possible ? place_of(at, va, level) : PLACE_NONE;
}

static uint32_t view_place(const struct role *role, bool writable)
{
	return writable ? role->view.writable : role->view.all;
}

/* Does this entry of the parent, if it has one, link to the role as wanted? */
static bool link_will_do(const struct alias_tracker *at, const struct role *parent, unsigned index,
			 const struct role *role, struct wanted wanted)
{
	uint64_t pte = copy_get(&parent->table->copy, index);
	uint64_t want = PTE_P | (wanted.writable ? PTE_RW : 0) | role->table->pfn << PAGE_SHIFT;
	uint32_t place = view_place(parent, wanted.writable);

	if ((pte & (want | PTE_ADDR)) != want || pte_kind(pte, parent->level) != PTE_TABLE ||
	    place == PLACE_NONE)
		return false;
	return child_place(at, parent->level, place, index) != wanted.avoid;
}

static bool parent_try(const struct alias_tracker *at, struct role *role, struct role *parent,
		       struct wanted wanted)
{
	FOREACH_PRESENT (i, &parent->table->copy) {
		if (!link_will_do(at, parent, i, role, wanted))
			continue;
		role->parent = parent;
		role->index = i;
		return true;
	}
	return false;
}

/* The link that was last known to lead to the role, or another if that one won't do. */
static bool parent_find(const struct alias_tracker *at, struct role *role, struct wanted wanted)
{
	struct table *table;

	if (role->parent && link_will_do(at, role->parent, role->index, role, wanted))
		return true;
	TAILQ_FOREACH (table, &at->by_change, by_change)
		if (table->role[role->level] &&
		    parent_try(at, role, table->role[role->level], wanted))
			return true;
	return false;
}

static struct wanted entry_wanted(const struct alias_tracker *at, const struct role *role,
				  unsigned index, uint64_t pte)
{
	struct wanted wanted = {role->view.writable != PLACE_NONE, PLACE_NONE, 0};
	uint64_t va;

	if (pte_kind(pte, role->level) != PTE_LEAF)
		return wanted;
	if (window_exempt_va(at, pte_pfn(pte, role->level, PTE_LEAF) << PAGE_SHIFT, &va))
		wanted_avoid(at, &wanted, va - ((uint64_t)index << pte_shift(role->level)),
			     role->level);
	wanted.writable = leaf_counts_as(at, role->view, role->level, index, pte) & LEAF_WRITABLE;
	return wanted;
}

struct path role_path(const struct alias_tracker *at, struct role *role, unsigned index)
{
	uint64_t pte = copy_get(&role->table->copy, index);
	struct wanted wanted = entry_wanted(at, role, index, pte);
	struct path path = {
		.va = (uint64_t)index << pte_shift(role->level),
		.user = pte & PTE_US,
		.exec = !(pte & PTE_NX),
	};

	while (role->level < at->levels && parent_find(at, role, wanted)) {
		pte = copy_get(&role->parent->table->copy, role->index);
		path.va += (uint64_t)role->index << pte_shift(role->level + 1);
		path.user = path.user && (pte & PTE_US);
		path.exec = path.exec && !(pte & PTE_NX);
		/* What leads to the role at a place to avoid, leads to its parent at that place
		 * less the offset of the link. */
		if (wanted.avoid != PLACE_NONE)
			wanted_avoid(at, &wanted,
				     wanted.va -
					     ((uint64_t)role->index << pte_shift(role->level + 1)),
				     role->level + 1);
		role = role->parent;
	}
	path.va = va_canonical(path.va, at->levels);
	return path;
}

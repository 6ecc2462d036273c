/* SPDX-License-Identifier: MIT */
/*
 * The straight line through the common case. Most tables are *plain*: walked as L1 alone, writably,
 * and outside of the direct map, while only writable leaves are counted. What an entry of them
 * counts as is plain to see, and most leaves map a frame of which nothing else is known. All else
 * is left to role.c.
 */
#ifndef PLAIN_H
#define PLAIN_H

#include "internal.h"

static const struct view view_plain = {PLACE_OUTSIDE, PLACE_OUTSIDE};

static inline bool is_plain(const struct alias_tracker *at, const struct table *table)
{
	const struct role *role = table->role[0];

	return role && table->nr_roles == 1 && !at->counts_all && view_is(role->view, view_plain);
}

/* --- role.c: the rest ------------------------------------------------------------------------- */

bool plain_add_rare(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte);
void plain_drop_rare(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte);

/* --- leaves ----------------------------------------------------------------------------------- */

/* The entry of a plain table begins to count. False if out of memory: nothing changed. */
__attribute__((always_inline)) static inline bool
plain_add(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte)
{
	uint64_t pfn = pte_pfn(pte, 1, PTE_LEAF);
	struct region *region;

	if ((pte & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW))
		return true;
	region = region_find(&at->frames, pfn);
	if (region && !region_has_word(region, pfn) && region_add_quick(region, pfn))
		return true;
	return plain_add_rare(at, role, index, pte);
}

/* And ceases to. */
__attribute__((always_inline)) static inline void
plain_drop(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte)
{
	uint64_t pfn = pte_pfn(pte, 1, PTE_LEAF);
	struct region *region;
	bool last;

	if ((pte & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW))
		return;
	region = region_find(&at->frames, pfn);
	if (!region || at->violations.reported.used || !region_drop_quick(region, pfn, &last))
		plain_drop_rare(at, role, index, pte);
	else if (last)
		tlb_pending_add(&at->tlb_pending, unit_name(pfn, 1, false));
}

/* --- entries ---------------------------------------------------------------------------------- */

/* Does the entry mean the same, to whom it leads and how? */
static inline bool means_the_same(uint64_t a, uint64_t b)
{
	return !((a ^ b) & PTE_MEANING) || !((a | b) & PTE_P);
}

/* Gives an entry of a plain table another value. False if out of memory: then it has the old one.
 */
__attribute__((always_inline)) static inline bool plain_update(struct alias_tracker *at,
							       struct table *table, unsigned index,
							       uint64_t old, uint64_t pte)
{
	if (!means_the_same(old, pte)) {
		if (!plain_add(at, table->role[0], index, pte))
			return false;
		plain_drop(at, table->role[0], index, old);
	}
	copy_set(&table->copy, index, pte);
	return true;
}

#endif

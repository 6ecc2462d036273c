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
	return table->roles == 1 && !at->counts_all && view_is(table->role[0]->view, view_plain);
}

/* --- role.c: the rest ------------------------------------------------------------------------- */

bool plain_add_rare(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte);
void plain_drop_rare(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte);
/* plain_update(), whatever the old value is. */
bool plain_update_rare(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte);

/* --- leaves ----------------------------------------------------------------------------------- */

/* Does that entry of a plain table count? */
static inline bool plain_counts(uint64_t pte)
{
	return (~pte & (PTE_P | PTE_RW)) == 0;
}

static inline uint64_t plain_pfn(uint64_t pte)
{
	return pte << 12 >> 24; /* of PTE_ADDR, in fewer instructions */
}

/* The entry of a plain table, one that counts, begins to. False if out of memory: nothing changed.
 */
__attribute__((always_inline)) static inline bool
plain_add(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	uint64_t pfn = plain_pfn(pte);
	struct region *region = region_find(&at->frames, pfn);

	if (!region || !region_add_quick(region, pfn))
		return plain_add_rare(at, table, index, pte);
	at->tlb_pending.gaining = true;
	return true;
}

/* And ceases to. */
__attribute__((always_inline)) static inline void
plain_drop(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	uint64_t pfn = plain_pfn(pte);
	struct region *region = region_find(&at->frames, pfn);
	bool last;

	if (!region || at->violations.reported.used || !region_drop_quick(region, pfn, &last))
		plain_drop_rare(at, table, index, pte);
	else if (last)
		tlb_pending_add(&at->tlb_pending, unit_name(pfn, 1, false));
}

/* --- entries ---------------------------------------------------------------------------------- */

/* Gives an entry of a plain table, in a group that its copy stores, another value; `entry` is
 * copy_entry(). False if out of memory: then it has the old one. */
__attribute__((always_inline)) static inline bool plain_update(struct alias_tracker *at,
							       struct table *table, unsigned index,
							       uint64_t *entry, uint64_t pte)
{
	uint64_t old = *entry;

	if (plain_counts(pte)) {
		if (plain_counts(old))
			return plain_update_rare(at, table, index, pte);
		if (!plain_add(at, table, index, pte))
			return false;
	} else if (plain_counts(old)) {
		plain_drop(at, table, index, old);
	}
	copy_set_stored(&table->copy, index, entry, pte);
	return true;
}

#endif

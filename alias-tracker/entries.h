/* SPDX-License-Identifier: MIT */
/*
 * A copy of the 512 entries of a page table. Its owner may write the table at any time: each entry
 * is loaded once and whole (vectors hold whole entries), in no particular order, and judged on the
 * copy.
 */
#ifndef ENTRIES_H
#define ENTRIES_H

#include <stdint.h>

#include "pte.h"

#define ENTRIES_GROUP  64u /* entries of a group: as many as one word has bits */
#define ENTRIES_GROUPS (PT_ENTRIES / ENTRIES_GROUP)

struct entries {
	uint64_t present[ENTRIES_GROUPS]; /* entries of the copy with PTE_P: most tables are sparse
					   */
	uint64_t copy[PT_ENTRIES];
};

/* Fills all of it. */
void entries_load(struct entries *entries, const uint64_t *table);
/* Groups of the table in which it differs from the copy: bit i is for entries 64 i .. 64 i + 63. */
unsigned entries_differ(const struct entries *entries, const uint64_t *table);

static inline void entries_set(struct entries *entries, unsigned index, uint64_t pte)
{
	uint64_t bit = 1ull << index % ENTRIES_GROUP;
	uint64_t *present = &entries->present[index / ENTRIES_GROUP];

	entries->copy[index] = pte;
	*present = (pte & PTE_P) ? *present | bit : *present & ~bit;
}

/* The first present entry from `from` on, or PT_ENTRIES. */
static inline unsigned entries_next(const struct entries *entries, unsigned from)
{
	uint64_t bits;

	if (from >= PT_ENTRIES)
		return PT_ENTRIES;
	bits = entries->present[from / ENTRIES_GROUP] & ~0ull << from % ENTRIES_GROUP;
	for (unsigned group = from / ENTRIES_GROUP;; bits = entries->present[group]) {
		if (bits)
			return group * ENTRIES_GROUP + (unsigned)__builtin_ctzll(bits);
		if (++group == ENTRIES_GROUPS)
			return PT_ENTRIES;
	}
}

#define FOREACH_PRESENT(i, entries)                                                                \
	for (unsigned i = entries_next(entries, 0); i < PT_ENTRIES;                                \
	     i = entries_next(entries, i + 1))

#endif

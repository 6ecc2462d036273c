/* SPDX-License-Identifier: MIT */
/*
 * A copy of the 512 entries of a page table. Its owner may write the table at any time: each entry
 * is loaded once and whole (vectors hold whole entries), in no particular order, and judged on the
 * copy. Groups of 64 entries that are all zero are not stored, and that memory is never touched.
 */
#ifndef COPY_H
#define COPY_H

#include <string.h>

#include "pte.h"

#define LINE_ENTRIES  8u  /* entries of a line: 64 bytes, as the processor's */
#define GROUP_ENTRIES 64u /* entries of a group: as many as one word has bits */
#define GROUPS        (PT_ENTRIES / GROUP_ENTRIES)

struct copy {
	uint64_t present[GROUPS];   /* the entries with PTE_P */
	uint64_t stored;            /* bit i: group i is stored; the others are zero */
	uint64_t entry[PT_ENTRIES]; /* of stored groups */
};

/* Fills all of it. */
void copy_load(struct copy *copy, const uint64_t *table);
/* Does the table differ from the copy? Most have not changed: this takes few instructions, and
 * where is another question. */
bool copy_differs(const struct copy *copy, const uint64_t *table);
/* Lines in which it does: bit i is for entries 8 i .. 8 i + 7. What is found here is looked at once
 * more, entry by entry, when the difference is acted on. */
uint64_t copy_lines_differ(const struct copy *copy, const uint64_t *table);
/* A group is stored from now on. */
void copy_group_store(struct copy *copy, unsigned group);
/* No entry of the group is present: it isn't stored any more if all of it is zero. */
void copy_group_drop(struct copy *copy, unsigned group);

static inline uint64_t copy_get(const struct copy *copy, unsigned index)
{
	return copy->stored >> index / GROUP_ENTRIES & 1 ? copy->entry[index] : 0;
}

static inline void copy_set(struct copy *copy, unsigned index, uint64_t pte)
{
	unsigned group = index / GROUP_ENTRIES;
	uint64_t bit = 1ull << index % GROUP_ENTRIES;

	if (!(copy->stored >> group & 1)) {
		if (!pte)
			return;
		copy_group_store(copy, group);
	}
	copy->entry[index] = pte;
	if (pte & PTE_P) {
		copy->present[group] |= bit;
		return;
	}
	copy->present[group] &= ~bit;
	if (!copy->present[group])
		copy_group_drop(copy, group);
}

/* For each entry i that is present, upwards. `break` leaves only the group of 64. */
#define FOREACH_PRESENT(i, copy)                                                                   \
	for (uint64_t groups_ = (copy)->stored; groups_; groups_ &= groups_ - 1)                   \
		for (uint64_t first_ = 64 * (uint64_t)__builtin_ctzll(groups_),                    \
			      bits_ = (copy)->present[first_ / 64], i;                             \
		     bits_ && (i = first_ + (uint64_t)__builtin_ctzll(bits_), true);               \
		     bits_ &= bits_ - 1)

#endif

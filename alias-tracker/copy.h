/* SPDX-License-Identifier: MIT */
/*
 * A copy of the 512 entries of a page table. Its owner may write the table at any time: each entry
 * is loaded once and whole (vectors hold whole entries), in no particular order, and judged on the
 * copy. Groups of 16 entries that are all zero are not stored, and that memory is never touched.
 */
#ifndef COPY_H
#define COPY_H

#include <string.h>

#include "pte.h"

#define LINE_ENTRIES  8u  /* entries of a line: 64 bytes, as the processor's */
#define GROUP_ENTRIES 16u /* entries of a group */
#define GROUPS        (PT_ENTRIES / GROUP_ENTRIES)
#define WORD_ENTRIES  64u /* entries that have their bits in one word: four groups */
#define WORDS         (PT_ENTRIES / WORD_ENTRIES)
#define WORD_GROUPS   (WORD_ENTRIES / GROUP_ENTRIES)

struct copy {
	union { /* the entries with PTE_P; little-endian */
		uint64_t present[WORDS];
		uint16_t present_of[GROUPS];
	};
	uint64_t stored;            /* bit i: group i is stored; the others are zero */
	uint64_t entry[PT_ENTRIES]; /* of stored groups */
};

/* Fills all of it. */
void copy_load(struct copy *copy, const uint64_t *table);
/* Which entries of a table have PTE_P, as in a copy of it, for the words that are returned as bits.
 * An entry may have another value as soon as this was found out. */
uint64_t table_present(uint64_t present[WORDS], const uint64_t *table);
/* Does the table differ from the copy? Most have not changed: this takes few instructions, and
 * where is another question. */
bool copy_differs(const struct copy *copy, const uint64_t *table);
/* Lines in which it does: bit i is for entries 8 i .. 8 i + 7. What is found here is looked at once
 * more, entry by entry, when the difference is acted on. */
uint64_t copy_lines_differ(const struct copy *copy, const uint64_t *table);
/* Bits of an entry, and what they are to be. */
struct pattern {
	uint64_t mask, want;
};
/* Is some entry of a stored group like that? */
bool copy_matches(const struct copy *copy, struct pattern pattern);
/* A group is stored from now on. */
void copy_group_store(struct copy *copy, unsigned group);
/* No entry of the group is present: it isn't stored any more if all of it is zero. */
void copy_group_drop(struct copy *copy, unsigned group);

static inline bool copy_stores(const struct copy *copy, unsigned index)
{
	return copy->stored >> index / GROUP_ENTRIES & 1;
}

static inline uint64_t copy_get(const struct copy *copy, unsigned index)
{
	return copy_stores(copy, index) ? copy->entry[index] : 0;
}

/* Of a group that is stored. */
static inline void copy_set_stored(struct copy *copy, unsigned index, uint64_t pte)
{
	uint64_t *present = &copy->present[index / WORD_ENTRIES],
		 bit = 1ull << index % WORD_ENTRIES;
	unsigned group = index / GROUP_ENTRIES;

	copy->entry[index] = pte;
	if (pte & PTE_P) {
		*present |= bit;
		return;
	}
	*present &= ~bit;
	if (!copy->present_of[group])
		copy_group_drop(copy, group);
}

static inline void copy_set(struct copy *copy, unsigned index, uint64_t pte)
{
	if (!copy_stores(copy, index)) {
		if (!pte)
			return;
		copy_group_store(copy, index / GROUP_ENTRIES);
	}
	copy_set_stored(copy, index, pte);
}

/* Bit 4 i: some of the entries 64 i .. 64 i + 63 are stored. */
static inline uint64_t copy_words(const struct copy *copy)
{
	uint64_t stored = copy->stored;

	stored |= stored >> 1;
	stored |= stored >> 2;
	return stored & 0x11111111;
}

/* For each entry i that is present, upwards. `break` leaves only the word of 64. */
#define FOREACH_PRESENT(i, copy)                                                                   \
	for (uint64_t words_ = copy_words(copy); words_; words_ &= words_ - 1)                     \
		for (uint64_t first_ = GROUP_ENTRIES * (uint64_t)__builtin_ctzll(words_),          \
			      bits_ = (copy)->present[first_ / WORD_ENTRIES], i;                   \
		     bits_ && (i = first_ + (uint64_t)__builtin_ctzll(bits_), true);               \
		     bits_ &= bits_ - 1)

#endif

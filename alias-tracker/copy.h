/* SPDX-License-Identifier: MIT */
/*
 * A copy of the 512 entries of a page table. Its owner may write the table at any time: each entry
 * that is kept is loaded once and whole (vectors hold whole entries), in no particular order, and
 * judged on the copy. Groups of 16 entries that have always been zero are not stored. Most tables
 * have but a few others: a copy takes memory for as many as it stores, in powers of two from
 * FEW_GROUPS on.
 */
#ifndef COPY_H
#define COPY_H

#include <stddef.h>
#include <string.h>

#include "pte.h"

#define LINE_ENTRIES  8u  /* entries of a line: 64 bytes, as the processor's */
#define GROUP_ENTRIES 16u /* entries of a group */
#define GROUPS        (PT_ENTRIES / GROUP_ENTRIES)
#define WORD_ENTRIES  64u /* entries that have their bits in one word: four groups */
#define WORDS         (PT_ENTRIES / WORD_ENTRIES)
#define WORD_GROUPS   (WORD_ENTRIES / GROUP_ENTRIES)
#define FEW_GROUPS    4u /* for which a copy has room at least, once it has stored any */

struct copy {
	union { /* the entries with PTE_P; little-endian */
		uint64_t present[WORDS];
		uint16_t present_of[GROUPS];
	};
	uint32_t stored;       /* bit i: group i is stored; the others are zero */
	uint8_t place[GROUPS]; /* which one in *group that is */
	uint8_t nr, max;       /* groups that are stored, and for how many there is room */
	uint64_t (*group)[GROUP_ENTRIES];
};

/* *bytes, here and below, is the memory that copies have taken. */

/* A copy that has none, and nothing stored. */
static inline void copy_init(struct copy *copy)
{
	*copy = (struct copy){0};
}
/* Takes the memory that most copies need, and touches it, for one that has none. False if there is
 * none. */
bool copy_prepare(struct copy *copy, size_t *bytes);
/* Fills all of it. False if out of memory: then all that can be done with it is what follows. */
bool copy_load(struct copy *copy, const uint64_t *table, size_t *bytes);
/* It stores nothing from now on, and gives back what most copies don't need, if that can be done.
 */
void copy_trim(struct copy *copy, size_t *bytes);
/* Gives back all. */
void copy_free(struct copy *copy, size_t *bytes);
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
/* A group that is not stored is from now on. False if out of memory. */
bool copy_group_store(struct copy *copy, unsigned group, size_t *bytes);

static inline bool copy_stores(const struct copy *copy, unsigned index)
{
	return copy->stored >> index / GROUP_ENTRIES & 1;
}

/* The entries around this one are stored from now on. False if out of memory. */
static inline bool copy_store(struct copy *copy, unsigned index, size_t *bytes)
{
	return copy_stores(copy, index) || copy_group_store(copy, index / GROUP_ENTRIES, bytes);
}

/* Of a group that is stored: where the entry is. */
static inline uint64_t *copy_entry(const struct copy *copy, unsigned index)
{
	return &copy->group[copy->place[index / GROUP_ENTRIES]][index % GROUP_ENTRIES];
}

static inline uint64_t copy_get(const struct copy *copy, unsigned index)
{
	return copy_stores(copy, index) ? *copy_entry(copy, index) : 0;
}

/* `entry` is copy_entry(). */
static inline void copy_set_stored(struct copy *copy, unsigned index, uint64_t *entry, uint64_t pte)
{
	uint64_t *present = &copy->present[index / WORD_ENTRIES],
		 bit = 1ull << index % WORD_ENTRIES;

	*entry = pte;
	if (pte & PTE_P)
		*present |= bit;
	else
		*present &= ~bit;
}

/* Of a group that is stored, or to 0. */
static inline void copy_set(struct copy *copy, unsigned index, uint64_t pte)
{
	if (copy_stores(copy, index))
		copy_set_stored(copy, index, copy_entry(copy, index), pte);
}

/* Bit 4 i: some of the entries 64 i .. 64 i + 63 are stored. */
static inline uint64_t copy_words(const struct copy *copy)
{
	uint32_t stored = copy->stored;

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

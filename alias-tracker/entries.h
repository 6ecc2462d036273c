/* SPDX-License-Identifier: MIT */
/*
 * A copy of the 512 entries of a page table. Its owner may write the table at any time: each entry
 * is loaded once and whole (vectors hold whole entries), in no particular order, and judged on the
 * copy. Most tables are sparse: lines of the copy that are all zero are not stored.
 */
#ifndef ENTRIES_H
#define ENTRIES_H

#include <string.h>

#include "pack.h"
#include "pte.h"

#define LINE_ENTRIES  8u  /* entries of a line: 64 bytes, as the processor's */
#define GROUP_ENTRIES 64u /* entries of a group: as many as one word has bits */
#define GROUPS        (PT_ENTRIES / GROUP_ENTRIES)

struct entries {
	uint64_t present[GROUPS]; /* those with PTE_P */
	struct pack lines;        /* of LINE_ENTRIES words */
};

/* The same, when it is looked at only once. */
struct snapshot {
	uint64_t present[GROUPS];
	uint64_t entry[PT_ENTRIES];
};

void snapshot_take(struct snapshot *snapshot, const uint64_t *table);

/* Fills all of it; memory is counted in *bytes, as by the functions below. False if there is none,
 * and then it is empty. */
bool entries_load(struct entries *entries, const uint64_t *table, size_t *bytes);
void entries_free(struct entries *entries, size_t *bytes);
/* Lines of the table in which it differs from the copy: bit i is for entries 8 i .. 8 i + 7. */
uint64_t entries_differ(const struct entries *entries, const uint64_t *table);

static inline uint64_t entries_get(const struct entries *entries, unsigned index)
{
	const uint64_t *line = pack_find(&entries->lines, index / LINE_ENTRIES, LINE_ENTRIES);

	return line ? line[index % LINE_ENTRIES] : 0;
}

/* The whole line in which the entry is. */
static inline void entries_get_line(const struct entries *entries, unsigned line,
				    uint64_t out[static LINE_ENTRIES])
{
	const uint64_t *stored = pack_find(&entries->lines, line, LINE_ENTRIES);

	if (stored)
		memcpy(out, stored, LINE_ENTRIES * sizeof(*out));
	else
		memset(out, 0, LINE_ENTRIES * sizeof(*out));
}

/* Makes sure that there is memory for anything in this line. False if there is none. */
static inline bool entries_reserve(struct entries *entries, unsigned line, size_t *bytes)
{
	return pack_make(&entries->lines, line, LINE_ENTRIES, bytes);
}

/* Sets a whole line, which has been reserved unless it is all zero. */
void entries_set_line(struct entries *entries, unsigned line,
		      const uint64_t values[static LINE_ENTRIES], size_t *bytes);
/* One entry, which has been reserved unless it becomes zero. */
static inline void entries_set(struct entries *entries, unsigned index, uint64_t pte, size_t *bytes)
{
	uint64_t values[LINE_ENTRIES];

	entries_get_line(entries, index / LINE_ENTRIES, values);
	values[index % LINE_ENTRIES] = pte;
	entries_set_line(entries, index / LINE_ENTRIES, values, bytes);
}

/* The first entry from `from` on that is present, or PT_ENTRIES. */
static inline unsigned present_next(const uint64_t present[static GROUPS], unsigned from)
{
	uint64_t bits;

	if (from >= PT_ENTRIES)
		return PT_ENTRIES;
	bits = present[from / GROUP_ENTRIES] & ~0ull << from % GROUP_ENTRIES;
	for (unsigned group = from / GROUP_ENTRIES;; bits = present[group]) {
		if (bits)
			return group * GROUP_ENTRIES + (unsigned)__builtin_ctzll(bits);
		if (++group == GROUPS)
			return PT_ENTRIES;
	}
}

/* Of struct entries or struct snapshot. */
#define FOREACH_PRESENT(i, entries)                                                                \
	for (unsigned i = present_next((entries)->present, 0); i < PT_ENTRIES;                     \
	     i = present_next((entries)->present, i + 1))

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What is known about each guest frame: one word (its state or its table), and how many leaves map
 * it. A radix tree over the frame number: GiB -> region of 2 MiB -> frame. A GiB, a region and the
 * parts of a region exist only while something in them is not zero.
 *
 * Leaves of level 2 and 3 are counted in units of their own size (2 MiB, 1 GiB), not for each
 * frame.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 2^35 frames are 128 TiB: all that a direct map in one half of the address space can hold. */
#define FRAMES_MAX   (1ull << 35)
#define RADIX        512u /* children of a node: regions of a GiB, frames of a region */
#define MORE_GROUP   64u  /* counts above two are kept for so many units together: a word's bits */
#define WORD_GROUP   32u  /* words are kept for so many frames together */
#define COUNT_MORE   3u   /* the two bits of a number above two, and the least such number */
#define COUNT_STICKS UINT32_MAX

/* Which leaves are counted. */
enum count_kind { COUNT_WRITABLE, COUNT_MAPPED, COUNT_KINDS };

/* Numbers of leaves of 512 units: two bits each, which say 0, 1, 2, or that the number is in
 * `more`. A number that reaches COUNT_STICKS stays there, so that it can't wrap to zero. */
struct counts {
	uint64_t low[RADIX / 64], high[RADIX / 64];
	uint32_t **more; /* RADIX / MORE_GROUP groups of MORE_GROUP numbers; NULL where there are
			    none */
	uint16_t nr;     /* units that have any */
	uint16_t nr_more;
};

/* The words of a region's frames that are not zero. */
struct words {
	uintptr_t *group[RADIX / WORD_GROUP]; /* NULL: every word of it is zero */
	uint8_t nr[RADIX / WORD_GROUP];       /* how many are not */
	uint16_t nr_all;
};

struct region {
	struct counts writable;
	struct counts *mapped; /* NULL: no frame here is mapped, or COUNT_MAPPED isn't kept */
	struct words *words;   /* NULL: every word is zero */
};

struct gib {
	struct region *region[RADIX];
	struct counts *large[COUNT_KINDS]; /* of leaves of 2 MiB; NULL: none */
	uint16_t nr_regions;
};

struct frames {
	uint64_t nr;
	struct gib **gib;                    /* by pfn >> 18 */
	struct counts *(*huge)[COUNT_KINDS]; /* leaves of 1 GiB, by pfn >> 27 */
	uint64_t nr_large;                   /* units of 2 MiB and 1 GiB that have any */
	size_t bytes;                        /* on the heap */
};

/* False if out of memory; frames_free() is due in any case. */
bool frames_init(struct frames *frames, uint64_t nr);
void frames_free(struct frames *frames);

/* --- counts --- */

static inline uint64_t count_bit(unsigned i)
{
	return 1ull << i % 64;
}

static inline bool count_any(const struct counts *counts, unsigned i)
{
	return (counts->low[i / 64] | counts->high[i / 64]) >> i % 64 & 1;
}

/* Is the number above two? */
static inline bool count_is_more(const struct counts *counts, unsigned i)
{
	return counts->low[i / 64] & counts->high[i / 64] & count_bit(i);
}

static inline uint32_t *count_more(const struct counts *counts, unsigned i)
{
	return &counts->more[i / MORE_GROUP][i % MORE_GROUP];
}

static inline const struct gib *gib_find(const struct frames *frames, uint64_t pfn)
{
	return pfn < frames->nr ? frames->gib[pfn >> 18] : NULL;
}

static inline struct region *region_find(const struct frames *frames, uint64_t pfn)
{
	const struct gib *gib = gib_find(frames, pfn);

	return gib ? gib->region[pfn >> 9 & (RADIX - 1)] : NULL;
}

static inline const struct counts *region_counts(const struct region *region, enum count_kind kind)
{
	return kind == COUNT_WRITABLE ? &region->writable : region->mapped;
}

/* Which unit of its block holds the frame, at that level? */
static inline unsigned unit_index(unsigned level, uint64_t pfn)
{
	return pfn >> (level - 1) * 9 & (RADIX - 1);
}

/* The block that counts leaves of that level for this frame, or NULL. */
static inline const struct counts *counts_find(const struct frames *frames, enum count_kind kind,
					       unsigned level, uint64_t pfn)
{
	const struct gib *gib;
	const struct region *region;

	if (level == 3)
		return pfn < frames->nr ? frames->huge[pfn >> 27][kind] : NULL;
	if (level == 2) {
		gib = gib_find(frames, pfn);
		return gib ? gib->large[kind] : NULL;
	}
	region = region_find(frames, pfn);
	return region ? region_counts(region, kind) : NULL;
}

/* How many leaves of this level map the frame. 0 for what is no frame. */
static inline uint64_t leaf_count(const struct frames *frames, enum count_kind kind, unsigned level,
				  uint64_t pfn)
{
	const struct counts *counts = counts_find(frames, kind, level, pfn);
	unsigned i = unit_index(level, pfn);

	if (!counts)
		return 0;
	if (count_is_more(counts, i))
		return *count_more(counts, i);
	return (counts->low[i / 64] >> i % 64 & 1) + 2 * (counts->high[i / 64] >> i % 64 & 1);
}

/* Has the frame such a leaf, of whatever size? False for what is no frame. Whether it has can't be
 * foretold: no branch on it. */
static inline bool frame_is_mapped(const struct frames *frames, enum count_kind kind, uint64_t pfn)
{
	const struct counts *counts = counts_find(frames, kind, 1, pfn);
	bool any = counts && count_any(counts, pfn % RADIX);

	if (frames->nr_large)
		any |= leaf_count(frames, kind, 2, pfn) || leaf_count(frames, kind, 3, pfn);
	return any;
}

/* One leaf more. False if out of memory: nothing changed. The frame exists. */
bool leaf_count_add(struct frames *frames, enum count_kind kind, unsigned level, uint64_t pfn);
/* One leaf less of a frame that has one. True: that was the last. */
bool leaf_count_drop(struct frames *frames, enum count_kind kind, unsigned level, uint64_t pfn);

/* The same for a 4 KiB writable leaf of a frame in that region, where no memory is taken or given
 * back, as most times: false if it would be, and then nothing changed. */
static inline bool region_add_quick(struct region *region, uint64_t pfn)
{
	struct counts *counts = &region->writable;
	unsigned i = pfn % RADIX;
	uint64_t *low = &counts->low[i / 64], *high = &counts->high[i / 64], bit = count_bit(i);

	if (!((*low | *high) & bit)) {
		counts->nr++;
	} else if (!(*high & bit)) {
		*high |= bit;
	} else if (*low & bit) { /* buffers that are mapped lazily come again and again */
		uint32_t *more = count_more(counts, i);

		*more += *more != COUNT_STICKS;
		return true;
	} else {
		if (!counts->more || !counts->more[i / MORE_GROUP])
			return false;
		*count_more(counts, i) = COUNT_MORE;
		counts->nr_more++;
	}
	*low ^= bit;
	return true;
}

static inline bool region_drop_quick(struct region *region, uint64_t pfn, bool *last)
{
	struct counts *counts = &region->writable;
	unsigned i = pfn % RADIX;
	uint64_t *low = &counts->low[i / 64], *high = &counts->high[i / 64], bit = count_bit(i);

	*last = !(*high & bit);
	if (*last) {
		if (counts->nr == 1)
			return false;
		counts->nr--;
	} else if (!(*low & bit)) {
		*high ^= bit;
	} else {
		uint32_t *more = count_more(counts, i);

		if (*more > COUNT_MORE) {
			*more -= *more != COUNT_STICKS;
			return true;
		}
		if (counts->nr_more == 1)
			return false;
		*more = 0;
		counts->nr_more--;
	}
	*low ^= bit;
	return true;
}

/* All numbers of COUNT_MAPPED become zero. */
void mapped_counts_clear(struct frames *frames);

/* --- words --- */

static inline uintptr_t *region_word(const struct region *region, uint64_t pfn)
{
	uintptr_t *group = region->words ? region->words->group[pfn % RADIX / WORD_GROUP] : NULL;

	return group ? &group[pfn % WORD_GROUP] : NULL;
}

static inline bool region_has_word(const struct region *region, uint64_t pfn)
{
	const uintptr_t *word = region_word(region, pfn);

	return word && *word;
}

static inline uintptr_t frame_word(const struct frames *frames, uint64_t pfn)
{
	const struct region *region = region_find(frames, pfn);
	const uintptr_t *word = region ? region_word(region, pfn) : NULL;

	return word ? *word : 0;
}

/* The place of the frame's word, if that is not zero, or NULL. */
static inline uintptr_t *frame_word_place(const struct frames *frames, uint64_t pfn)
{
	const struct region *region = region_find(frames, pfn);
	uintptr_t *word = region ? region_word(region, pfn) : NULL;

	return word && *word ? word : NULL;
}

/* False if out of memory, and then nothing changed. Replacing a word that is not zero, and setting
 * one to zero, can't fail. The frame exists. */
bool frame_word_set(struct frames *frames, uint64_t pfn, uintptr_t value);

#endif

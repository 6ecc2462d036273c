/* SPDX-License-Identifier: MIT */
/*
 * What is known about each guest frame: one word (its state or its table), and how many leaves map
 * it. Frames of 2 MiB make a region. It and its parts exist only while something in them is not
 * zero.
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
#define RADIX        512u /* frames of a region, regions of a GiB */
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

/* The words of a region's frames. */
struct words {
	uint64_t any[RADIX / 64];             /* bit i: that of frame i is not zero */
	uintptr_t *group[RADIX / WORD_GROUP]; /* NULL: all of these are */
};

struct region {
	struct counts writable;
	struct counts *mapped; /* NULL: no frame here is mapped, or COUNT_MAPPED isn't kept */
	struct words *words;   /* no_words, which is never written, where all are zero */
};

extern const struct words no_words;

static inline bool has_words(const struct region *region)
{
	return region->words != &no_words;
}

struct frames {
	uint64_t nr;
	struct region **region;               /* by pfn >> 9 */
	uint16_t *nr_regions;                 /* of each GiB, by pfn >> 18 */
	struct counts *(*large)[COUNT_KINDS]; /* leaves of 2 MiB, by pfn >> 18; NULL: none */
	struct counts *(*huge)[COUNT_KINDS];  /* and of 1 GiB, by pfn >> 27 */
	uint64_t nr_large;                    /* units of 2 MiB and 1 GiB that have any */
	size_t bytes;                         /* on the heap */
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
	return (counts->low[i / 64] & counts->high[i / 64]) >> i % 64 & 1;
}

static inline uint32_t *count_more(const struct counts *counts, unsigned i)
{
	return &counts->more[i / MORE_GROUP][i % MORE_GROUP];
}

static inline struct region *region_find(const struct frames *frames, uint64_t pfn)
{
	return pfn < frames->nr ? frames->region[pfn >> 9] : NULL;
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
	const struct region *region;

	if (level == 3)
		return pfn < frames->nr ? frames->huge[pfn >> 27][kind] : NULL;
	if (level == 2)
		return pfn < frames->nr ? frames->large[pfn >> 18][kind] : NULL;
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

/* The same for a 4 KiB writable leaf of a frame of that region, at once for most. False, and then
 * nothing changed: memory would be taken or given back, or a frame that gets one has a word. (Many
 * have more than two: buffers that are unmapped lazily come again and again.) */
static inline bool region_add_quick(struct region *region, uint64_t pfn)
{
	struct counts *counts = &region->writable;
	unsigned i = pfn % RADIX;
	uint64_t *low = &counts->low[i / 64], *high = &counts->high[i / 64];
	uint32_t *more;

	if (region->words->any[i / 64] >> i % 64 & 1)
		return false;
	if (count_is_more(counts, i)) {
		more = count_more(counts, i);
		if (*more != COUNT_STICKS)
			++*more;
		return true;
	}
	if (!((*low | *high) >> i % 64 & 1)) {
		counts->nr++;
	} else if (!(*high >> i % 64 & 1)) {
		*high |= count_bit(i);
	} else {
		if (!counts->more || !counts->more[i / MORE_GROUP])
			return false;
		*count_more(counts, i) = COUNT_MORE;
		counts->nr_more++;
	}
	*low ^= count_bit(i);
	return true;
}

static inline bool region_drop_quick(struct region *region, uint64_t pfn, bool *last)
{
	struct counts *counts = &region->writable;
	unsigned i = pfn % RADIX;
	uint64_t *high = &counts->high[i / 64];
	uint32_t *more;

	*last = false;
	if (count_is_more(counts, i)) {
		more = count_more(counts, i);
		if (*more == COUNT_STICKS)
			return true;
		if (*more > COUNT_MORE) {
			--*more;
			return true;
		}
		if (counts->nr_more == 1)
			return false;
		*more = 0;
		counts->nr_more--;
	} else if (*high >> i % 64 & 1) {
		*high ^= count_bit(i);
	} else {
		if (counts->nr == 1)
			return false;
		counts->nr--;
		*last = true;
	}
	counts->low[i / 64] ^= count_bit(i);
	return true;
}

/* All numbers of COUNT_MAPPED become zero. */
void mapped_counts_clear(struct frames *frames);

/* --- words --- */

/* The place of the frame's word, if that is not zero, or NULL. */
static inline uintptr_t *region_word(const struct region *region, uint64_t pfn)
{
	unsigned i = pfn % RADIX;
	uintptr_t *group;

	if (!(region->words->any[i / 64] >> i % 64 & 1))
		return NULL;
	group = region->words->group[i / WORD_GROUP];
	if (!group)
		__builtin_unreachable(); /* so that callers need not ask for NULL once more */
	return &group[i % WORD_GROUP];
}

static inline uintptr_t *frame_word_place(const struct frames *frames, uint64_t pfn)
{
	const struct region *region = region_find(frames, pfn);

	return region ? region_word(region, pfn) : NULL;
}

static inline uintptr_t frame_word(const struct frames *frames, uint64_t pfn)
{
	const uintptr_t *word = frame_word_place(frames, pfn);

	return word ? *word : 0;
}

/* The frame, which exists, gets a word that is not zero. Returns its place, or NULL if out of
 * memory: then nothing changed. Replacing one that is not zero can't fail. */
uintptr_t *frame_word_put(struct frames *frames, uint64_t pfn, uintptr_t value);
/* Its word becomes zero. */
void frame_word_clear(struct frames *frames, uint64_t pfn);

#endif

/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

#define SMALL 1024u

const struct words no_words;

static void *frames_alloc(struct frames *frames, size_t size)
{
	/* Memory for large ones may be zero already. For small ones malloc() is quicker; of
	 * malloc() and memset() side by side the compiler would make calloc(). */
	void *p = size > SMALL ? calloc(1, size) : malloc(size);

	if (!p)
		return NULL;
	__asm__("" : "+r"(p));
	if (size <= SMALL)
		memset(p, 0, size);
	frames->bytes += size;
	return p;
}

static void frames_release(struct frames *frames, void *p, size_t size)
{
	if (!p)
		return;
	frames->bytes -= size;
	free(p);
}

static size_t nr_regions(const struct frames *frames)
{
	return (frames->nr + RADIX - 1) >> 9;
}

static size_t nr_gibs(const struct frames *frames)
{
	return (frames->nr + (1ull << 18) - 1) >> 18;
}

static size_t nr_huge(const struct frames *frames)
{
	return (frames->nr + (1ull << 27) - 1) >> 27;
}

bool frames_init(struct frames *frames, uint64_t nr)
{
	*frames = (struct frames){.nr = nr};
	frames->region = frames_alloc(frames, nr_regions(frames) * sizeof(*frames->region));
	frames->nr_regions = frames_alloc(frames, nr_gibs(frames) * sizeof(*frames->nr_regions));
	frames->large = frames_alloc(frames, nr_gibs(frames) * sizeof(*frames->large));
	frames->huge = frames_alloc(frames, nr_huge(frames) * sizeof(*frames->huge));
	return frames->region && frames->nr_regions && frames->large && frames->huge;
}

/* --- one block of counts ---------------------------------------------------------------------- */

/* Where the number of a unit that gets more than two is kept from now on; NULL: out of memory. */
static uint32_t *more_make(struct frames *frames, struct counts *counts, unsigned i)
{
	uint32_t **more = counts->more;

	if (!more)
		more = frames_alloc(frames, RADIX / MORE_GROUP * sizeof(*more));
	if (!more)
		return NULL;
	counts->more = more;
	more += i / MORE_GROUP;
	if (!*more)
		*more = frames_alloc(frames, MORE_GROUP * sizeof(**more));
	if (*more)
		counts->nr_more++;
	return *more ? &(*more)[i % MORE_GROUP] : NULL;
}

static void more_free(struct frames *frames, struct counts *counts)
{
	if (!counts->more)
		return;
	for (unsigned group = 0; group < RADIX / MORE_GROUP; group++)
		frames_release(frames, counts->more[group],
			       MORE_GROUP * sizeof(*counts->more[group]));
	frames_release(frames, counts->more, RADIX / MORE_GROUP * sizeof(*counts->more));
	counts->more = NULL;
	counts->nr_more = 0;
}

static bool counts_add(struct frames *frames, struct counts *counts, unsigned i)
{
	uint64_t *low = &counts->low[i / 64], *high = &counts->high[i / 64], bit = count_bit(i);
	uint32_t *more;

	if (*low & *high & bit) {
		more = count_more(counts, i);
		*more += *more != COUNT_STICKS;
		return true;
	}
	if (*high & bit) {
		more = more_make(frames, counts, i);
		if (!more)
			return false;
		*more = COUNT_MORE;
	} else {
		counts->nr += !(*low & bit);
		*high |= *low & bit;
	}
	*low ^= bit;
	return true;
}

static bool counts_drop(struct frames *frames, struct counts *counts, unsigned i)
{
	uint64_t *low = &counts->low[i / 64], *high = &counts->high[i / 64], bit = count_bit(i);
	bool last = !(*high & bit);

	if (*low & *high & bit) {
		uint32_t *more = count_more(counts, i);

		if (*more == COUNT_STICKS || --*more >= COUNT_MORE)
			return false;
		*more = 0;
		if (--counts->nr_more == 0)
			more_free(frames, counts);
	} else {
		*high &= ~bit;
		counts->nr -= last;
	}
	*low ^= bit;
	return last;
}

static void counts_free(struct frames *frames, struct counts **counts)
{
	if (!*counts)
		return;
	more_free(frames, *counts);
	frames_release(frames, *counts, sizeof(**counts));
	*counts = NULL;
}

/* --- regions and what they hang on ------------------------------------------------------------ */

static struct region *region_make(struct frames *frames, uint64_t pfn)
{
	struct region *region = frames->region[pfn >> 9];

	if (region)
		return region;
	region = frames_alloc(frames, sizeof(*region));
	if (!region)
		return NULL;
	region->words = (struct words *)&no_words;
	frames->region[pfn >> 9] = region;
	frames->nr_regions[pfn >> 18]++;
	return region;
}

static void words_free(struct frames *frames, struct region *region)
{
	if (!has_words(region))
		return;
	for (unsigned group = 0; group < RADIX / WORD_GROUP; group++)
		frames_release(frames, region->words->group[group],
			       WORD_GROUP * sizeof(*region->words->group[group]));
	frames_release(frames, region->words, sizeof(*region->words));
	region->words = (struct words *)&no_words;
}

static void region_free(struct frames *frames, struct region **region)
{
	more_free(frames, &(*region)->writable);
	counts_free(frames, &(*region)->mapped);
	words_free(frames, *region);
	frames_release(frames, *region, sizeof(**region));
	*region = NULL;
}

static void region_drop_if_empty(struct frames *frames, uint64_t pfn)
{
	struct region **region = &frames->region[pfn >> 9];

	if ((*region)->writable.nr || (*region)->mapped || has_words(*region))
		return;
	region_free(frames, region);
	frames->nr_regions[pfn >> 18]--;
}

/* For each region there is. */
static void for_each_region(struct frames *frames, void (*fn)(struct frames *frames, uint64_t pfn))
{
	for (size_t gib = 0; frames->nr_regions && gib < nr_gibs(frames); gib++)
		for (size_t i = gib * RADIX; frames->nr_regions[gib] && i < (gib + 1) * RADIX; i++)
			if (i < nr_regions(frames) && frames->region[i])
				fn(frames, (uint64_t)i * RADIX);
}

static void region_end(struct frames *frames, uint64_t pfn)
{
	region_free(frames, &frames->region[pfn >> 9]);
}

static void large_free(struct frames *frames, struct counts *(*large)[COUNT_KINDS], size_t nr)
{
	for (size_t i = 0; large && i < nr; i++)
		for (unsigned kind = 0; kind < COUNT_KINDS; kind++)
			counts_free(frames, &large[i][kind]);
	free(large);
}

void frames_free(struct frames *frames)
{
	for_each_region(frames, region_end);
	large_free(frames, frames->large, nr_gibs(frames));
	large_free(frames, frames->huge, nr_huge(frames));
	free(frames->region);
	free(frames->nr_regions);
	*frames = (struct frames){0};
}

/* --- counting leaves -------------------------------------------------------------------------- */

static struct counts **large_counts(struct frames *frames, enum count_kind kind, unsigned level,
				    uint64_t pfn)
{
	return level == 2 ? &frames->large[pfn >> 18][kind] : &frames->huge[pfn >> 27][kind];
}

static bool large_add(struct frames *frames, enum count_kind kind, unsigned level, uint64_t pfn)
{
	struct counts **counts = large_counts(frames, kind, level, pfn);
	unsigned before;

	if (!*counts)
		*counts = frames_alloc(frames, sizeof(**counts));
	if (!*counts)
		return false;
	before = (*counts)->nr;
	/* The first of a block needs no memory but the block. */
	if (!counts_add(frames, *counts, unit_index(level, pfn)))
		return false;
	frames->nr_large += (*counts)->nr - before;
	return true;
}

static bool large_drop(struct frames *frames, enum count_kind kind, unsigned level, uint64_t pfn)
{
	struct counts **counts = large_counts(frames, kind, level, pfn);
	bool last = counts_drop(frames, *counts, unit_index(level, pfn));

	frames->nr_large -= last;
	if (!(*counts)->nr)
		counts_free(frames, counts);
	return last;
}

/* The block of this kind, made if need be; NULL: out of memory. */
static struct counts *small_counts(struct frames *frames, enum count_kind kind,
				   struct region *region)
{
	if (kind == COUNT_WRITABLE)
		return &region->writable;
	if (!region->mapped)
		region->mapped = frames_alloc(frames, sizeof(*region->mapped));
	return region->mapped;
}

bool leaf_count_add(struct frames *frames, enum count_kind kind, unsigned level, uint64_t pfn)
{
	struct region *region;
	struct counts *counts;

	if (level > 1)
		return large_add(frames, kind, level, pfn);
	region = region_make(frames, pfn);
	if (!region)
		return false;
	counts = small_counts(frames, kind, region);
	if (counts && counts_add(frames, counts, pfn % RADIX))
		return true;
	region_drop_if_empty(frames, pfn);
	return false;
}

bool leaf_count_drop(struct frames *frames, enum count_kind kind, unsigned level, uint64_t pfn)
{
	struct region *region;
	struct counts *counts;
	bool last;

	if (level > 1)
		return large_drop(frames, kind, level, pfn);
	region = region_find(frames, pfn);
	counts = kind == COUNT_WRITABLE ? &region->writable : region->mapped;
	last = counts_drop(frames, counts, pfn % RADIX);
	if (counts->nr)
		return last;
	if (kind == COUNT_MAPPED)
		counts_free(frames, &region->mapped);
	region_drop_if_empty(frames, pfn);
	return last;
}

static void region_mapped_clear(struct frames *frames, uint64_t pfn)
{
	counts_free(frames, &frames->region[pfn >> 9]->mapped);
	region_drop_if_empty(frames, pfn);
}

static void large_mapped_clear(struct frames *frames, struct counts *(*large)[COUNT_KINDS],
			       size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct counts **counts = &large[i][COUNT_MAPPED];

		if (*counts)
			frames->nr_large -= (*counts)->nr;
		counts_free(frames, counts);
	}
}

void mapped_counts_clear(struct frames *frames)
{
	for_each_region(frames, region_mapped_clear);
	large_mapped_clear(frames, frames->large, nr_gibs(frames));
	large_mapped_clear(frames, frames->huge, nr_huge(frames));
}

/* --- words ------------------------------------------------------------------------------------ */

static void words_drop_if_empty(struct frames *frames, struct region *region, uint64_t pfn)
{
	for (unsigned i = 0; i < RADIX / 64; i++)
		if (region->words->any[i])
			return;
	words_free(frames, region);
	region_drop_if_empty(frames, pfn);
}

static struct words *words_make(struct frames *frames, struct region *region)
{
	struct words *words;

	if (has_words(region))
		return region->words;
	words = frames_alloc(frames, sizeof(*words));
	if (words)
		region->words = words;
	return words;
}

/* The group that the frame's word belongs to; NULL: out of memory. */
__attribute__((noinline)) static uintptr_t *word_group_make(struct frames *frames, uint64_t pfn)
{
	struct region *region = region_make(frames, pfn);
	struct words *words = region ? words_make(frames, region) : NULL;
	unsigned i = pfn % RADIX / WORD_GROUP;

	if (words && !words->group[i])
		words->group[i] = frames_alloc(frames, WORD_GROUP * sizeof(*words->group[i]));
	if (words && words->group[i])
		return words->group[i];
	if (region)
		words_drop_if_empty(frames, region, pfn);
	return NULL;
}

/* The group has no word that isn't zero any more. */
__attribute__((noinline)) static void word_group_free(struct frames *frames, struct region *region,
						      uint64_t pfn)
{
	uintptr_t **group = &region->words->group[pfn % RADIX / WORD_GROUP];

	frames_release(frames, *group, WORD_GROUP * sizeof(**group));
	*group = NULL;
	words_drop_if_empty(frames, region, pfn);
}

/* The place of a word that is to become something else than zero; NULL: out of memory. */
static uintptr_t *word_make(struct frames *frames, struct region *region, uint64_t pfn)
{
	unsigned i = pfn % RADIX;
	uintptr_t *group = region ? region->words->group[i / WORD_GROUP] : NULL;

	if (!group) {
		group = word_group_make(frames, pfn);
		if (!group)
			return NULL;
		region = frames->region[pfn >> 9];
	}
	region->words->any[i / 64] |= count_bit(i);
	return &group[i % WORD_GROUP];
}

static void word_clear(struct frames *frames, struct region *region, uint64_t pfn)
{
	unsigned i = pfn % RADIX;
	uint64_t *any = &region->words->any[i / 64];

	*any &= ~count_bit(i);
	if (!(uint32_t)(*any >> i % 64 / WORD_GROUP * WORD_GROUP))
		word_group_free(frames, region, pfn);
}

uintptr_t *frame_word_put(struct frames *frames, uint64_t pfn, uintptr_t value)
{
	struct region *region = region_find(frames, pfn);
	uintptr_t *word = region ? region_word(region, pfn) : NULL;

	if (!word)
		word = word_make(frames, region, pfn);
	if (word)
		*word = value;
	return word;
}

void frame_word_clear(struct frames *frames, uint64_t pfn)
{
	struct region *region = region_find(frames, pfn);

	if (region && region_word(region, pfn))
		word_clear(frames, region, pfn);
}

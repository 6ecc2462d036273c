/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

#define SMALL 1024u

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
	frames->gib = frames_alloc(frames, nr_gibs(frames) * sizeof(*frames->gib));
	frames->huge = frames_alloc(frames, nr_huge(frames) * sizeof(*frames->huge));
	return frames->gib && frames->huge;
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

static struct gib *gib_make(struct frames *frames, uint64_t pfn)
{
	struct gib **gib = &frames->gib[pfn >> 18];

	if (!*gib)
		*gib = frames_alloc(frames, sizeof(**gib));
	return *gib;
}

static void gib_drop_if_empty(struct frames *frames, uint64_t pfn)
{
	struct gib **gib = &frames->gib[pfn >> 18];

	if ((*gib)->nr_regions || (*gib)->large[0] || (*gib)->large[1])
		return;
	frames_release(frames, *gib, sizeof(**gib));
	*gib = NULL;
}

static struct region *region_make(struct frames *frames, uint64_t pfn)
{
	struct gib *gib = gib_make(frames, pfn);
	struct region *region = gib ? gib->region[pfn >> 9 & (RADIX - 1)] : NULL;

	if (!gib || region)
		return region;
	region = frames_alloc(frames, sizeof(*region));
	if (!region) {
		gib_drop_if_empty(frames, pfn);
		return NULL;
	}
	gib->region[pfn >> 9 & (RADIX - 1)] = region;
	gib->nr_regions++;
	return region;
}

static void words_free(struct frames *frames, struct region *region)
{
	if (!region->words)
		return;
	for (unsigned group = 0; group < RADIX / WORD_GROUP; group++)
		frames_release(frames, region->words->group[group],
			       WORD_GROUP * sizeof(*region->words->group[group]));
	frames_release(frames, region->words, sizeof(*region->words));
	region->words = NULL;
}

static void region_free(struct frames *frames, struct region *region)
{
	more_free(frames, &region->writable);
	counts_free(frames, &region->mapped);
	words_free(frames, region);
	frames_release(frames, region, sizeof(*region));
}

static void region_drop_if_empty(struct frames *frames, struct region *region, uint64_t pfn)
{
	struct gib *gib = frames->gib[pfn >> 18];

	if (region->writable.nr || region->mapped || region->words)
		return;
	region_free(frames, region);
	gib->region[pfn >> 9 & (RADIX - 1)] = NULL;
	gib->nr_regions--;
	gib_drop_if_empty(frames, pfn);
}

void frames_free(struct frames *frames)
{
	for (size_t i = 0; frames->gib && i < nr_gibs(frames); i++) {
		struct gib *gib = frames->gib[i];

		if (!gib)
			continue;
		for (unsigned j = 0; j < RADIX; j++)
			if (gib->region[j])
				region_free(frames, gib->region[j]);
		for (unsigned kind = 0; kind < COUNT_KINDS; kind++)
			counts_free(frames, &gib->large[kind]);
		frames_release(frames, gib, sizeof(*gib));
	}
	for (size_t i = 0; frames->huge && i < nr_huge(frames); i++)
		for (unsigned kind = 0; kind < COUNT_KINDS; kind++)
			counts_free(frames, &frames->huge[i][kind]);
	free(frames->gib);
	free(frames->huge);
	*frames = (struct frames){0};
}

/* --- counting leaves -------------------------------------------------------------------------- */

static struct counts **large_counts(struct frames *frames, enum count_kind kind, unsigned level,
				    uint64_t pfn)
{
	return level == 2 ? &frames->gib[pfn >> 18]->large[kind] : &frames->huge[pfn >> 27][kind];
}

static bool large_add(struct frames *frames, enum count_kind kind, unsigned level, uint64_t pfn)
{
	struct counts **counts;
	unsigned before;

	if (level == 2 && !gib_make(frames, pfn))
		return false;
	counts = large_counts(frames, kind, level, pfn);
	if (!*counts)
		*counts = frames_alloc(frames, sizeof(**counts));
	before = *counts ? (*counts)->nr : 0;
	/* The first of a block needs no memory but the block. */
	if (!*counts || !counts_add(frames, *counts, unit_index(level, pfn))) {
		if (level == 2)
			gib_drop_if_empty(frames, pfn);
		return false;
	}
	frames->nr_large += (*counts)->nr - before;
	return true;
}

static bool large_drop(struct frames *frames, enum count_kind kind, unsigned level, uint64_t pfn)
{
	struct counts **counts = large_counts(frames, kind, level, pfn);
	bool last = counts_drop(frames, *counts, unit_index(level, pfn));

	frames->nr_large -= last;
	if ((*counts)->nr)
		return last;
	counts_free(frames, counts);
	if (level == 2)
		gib_drop_if_empty(frames, pfn);
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
	region = region_find(frames, pfn);
	if (!region)
		region = region_make(frames, pfn);
	if (!region)
		return false;
	counts = small_counts(frames, kind, region);
	if (counts && counts_add(frames, counts, pfn % RADIX))
		return true;
	region_drop_if_empty(frames, region, pfn);
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
	region_drop_if_empty(frames, region, pfn);
	return last;
}

static void gib_mapped_clear(struct frames *frames, uint64_t pfn)
{
	struct gib *gib = frames->gib[pfn >> 18];

	if (gib->large[COUNT_MAPPED])
		frames->nr_large -= gib->large[COUNT_MAPPED]->nr;
	counts_free(frames, &gib->large[COUNT_MAPPED]);
	gib->nr_regions++; /* it is not to go meanwhile */
	for (unsigned i = 0; i < RADIX; i++) {
		struct region *region = gib->region[i];

		if (!region)
			continue;
		counts_free(frames, &region->mapped);
		region_drop_if_empty(frames, region, pfn + i * RADIX);
	}
	gib->nr_regions--;
	gib_drop_if_empty(frames, pfn);
}

void mapped_counts_clear(struct frames *frames)
{
	for (size_t i = 0; i < nr_gibs(frames); i++)
		if (frames->gib[i])
			gib_mapped_clear(frames, (uint64_t)i << 18);
	for (size_t i = 0; i < nr_huge(frames); i++) {
		struct counts **huge = &frames->huge[i][COUNT_MAPPED];

		if (*huge)
			frames->nr_large -= (*huge)->nr;
		counts_free(frames, huge);
	}
}

/* --- words ------------------------------------------------------------------------------------ */

/* The place of a word that is to become something else than zero; NULL: out of memory. */
static uintptr_t *word_make(struct frames *frames, struct region *region, uint64_t pfn)
{
	uintptr_t **group;

	if (!region->words)
		region->words = frames_alloc(frames, sizeof(*region->words));
	if (!region->words)
		return NULL;
	group = &region->words->group[pfn % RADIX / WORD_GROUP];
	if (!*group)
		*group = frames_alloc(frames, WORD_GROUP * sizeof(**group));
	if (*group)
		return &(*group)[pfn % WORD_GROUP];
	if (!region->words->nr_all)
		words_free(frames, region);
	return NULL;
}

/* The group has no word that isn't zero any more. */
__attribute__((noinline)) static void word_group_free(struct frames *frames, struct region *region,
						      uint64_t pfn)
{
	struct words *words = region->words;
	unsigned group = pfn % RADIX / WORD_GROUP;

	frames_release(frames, words->group[group], WORD_GROUP * sizeof(*words->group[group]));
	words->group[group] = NULL;
	if (words->nr_all)
		return;
	frames_release(frames, words, sizeof(*words));
	region->words = NULL;
	region_drop_if_empty(frames, region, pfn);
}

static void word_clear(struct frames *frames, struct region *region, uint64_t pfn, uintptr_t *word)
{
	struct words *words = region->words;

	*word = 0;
	words->nr_all--;
	if (--words->nr[pfn % RADIX / WORD_GROUP] == 0)
		word_group_free(frames, region, pfn);
}

static void word_count(struct words *words, uint64_t pfn)
{
	words->nr[pfn % RADIX / WORD_GROUP]++;
	words->nr_all++;
}

/* A word becomes something else than zero, the first of its group. */
__attribute__((noinline)) static bool word_fill(struct frames *frames, uint64_t pfn,
						uintptr_t value)
{
	struct region *region = region_make(frames, pfn);
	uintptr_t *word = region ? word_make(frames, region, pfn) : NULL;

	if (word) {
		word_count(region->words, pfn);
		*word = value;
	} else if (region) {
		region_drop_if_empty(frames, region, pfn);
	}
	return word != NULL;
}

bool frame_word_set(struct frames *frames, uint64_t pfn, uintptr_t value)
{
	struct region *region = region_find(frames, pfn);
	uintptr_t *word = region ? region_word(region, pfn) : NULL;

	if (!value) {
		if (word && *word)
			word_clear(frames, region, pfn, word);
		return true;
	}
	if (!word)
		return word_fill(frames, pfn, value);
	if (!*word)
		word_count(region->words, pfn);
	*word = value;
	return true;
}

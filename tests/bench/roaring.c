/* SPDX-License-Identifier: MIT */
/*
 * Compressed bitmaps: of the frames with a leaf, of those with two or more, and so on. What is
 * beyond the last is counted in the map of libaliastracker, so that only the bitmaps differ.
 */
#if __has_include(<roaring/roaring.h>)

#include <stdio.h>
#include <stdlib.h>

#include <roaring/roaring.h>

#include "contender.h"
#include "map.h"

#define DEPTH 4u /* as of struct count */

struct compressed {
	roaring_bitmap_t *more_than[DEPTH]; /* i leaves */
	struct map spill;                   /* frame -> how many beyond DEPTH */
};

static void *roaring_open(uint64_t frames)
{
	struct compressed *c = must_calloc(1, sizeof(*c));

	(void)frames;
	for (unsigned i = 0; i < DEPTH; i++)
		c->more_than[i] = roaring_bitmap_create();
	map_init(&c->spill, 0);
	return c;
}

static void roaring_close(void *self)
{
	struct compressed *c = self;

	for (unsigned i = 0; i < DEPTH; i++)
		roaring_bitmap_free(c->more_than[i]);
	map_clear(&c->spill);
	free(c);
}

static void roaring_add(void *self, uint64_t pfn, uint64_t gpa)
{
	struct compressed *c = self;

	(void)gpa;
	for (unsigned i = 0; i < DEPTH; i++)
		if (roaring_bitmap_add_checked(c->more_than[i], pfn))
			return;
	if (map_put(&c->spill, pfn, map_get(&c->spill, pfn) + 1))
		return;
	perror("bench-tracker: map_put");
	exit(EXIT_FAILURE);
}

static void roaring_drop(void *self, uint64_t pfn, uint64_t gpa)
{
	struct compressed *c = self;
	uint64_t n = map_get(&c->spill, pfn);
	unsigned last = 0;

	(void)gpa;
	if (n == 1)
		map_delete(&c->spill, pfn);
	else if (n)
		map_put(&c->spill, pfn, n - 1); /* replaces: cannot fail */
	if (n)
		return;
	while (last + 1 < DEPTH && roaring_bitmap_contains(c->more_than[last + 1], pfn))
		last++;
	roaring_bitmap_remove(c->more_than[last], pfn);
}

static bool roaring_has(const void *self, uint64_t pfn)
{
	return roaring_bitmap_contains(((const struct compressed *)self)->more_than[0], pfn);
}

static uint64_t roaring_count(const void *self, uint64_t pfn)
{
	const struct compressed *c = self;
	unsigned n = 0;

	while (n < DEPTH && roaring_bitmap_contains(c->more_than[n], pfn))
		n++;
	return n + map_get(&c->spill, pfn);
}

const struct contender contender_roaring = {
	"croaring",   roaring_open, roaring_close, roaring_add,
	roaring_drop, roaring_has,  roaring_count,
};

#endif

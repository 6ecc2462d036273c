/* SPDX-License-Identifier: MIT */
/* A bit a frame in a compressed bitmap; frames with two leaves or more have their count in the map
 * that libaliastracker has for that, so that only the bitmaps differ. */
#include <stdio.h>
#include <stdlib.h>

#include <roaring/roaring.h>

#include "contender.h"
#include "map.h"

struct compressed {
	roaring_bitmap_t *any;
	struct map spill;
};

static void *roaring_open(uint64_t frames)
{
	struct compressed *c = must_calloc(1, sizeof(*c));

	(void)frames;
	c->any = roaring_bitmap_create();
	map_init(&c->spill, 0);
	return c;
}

static void roaring_close(void *self)
{
	struct compressed *c = self;

	roaring_bitmap_free(c->any);
	map_clear(&c->spill);
	free(c);
}

static void roaring_add(void *self, uint64_t pfn, uint64_t gpa)
{
	struct compressed *c = self;
	uint64_t n;

	(void)gpa;
	if (roaring_bitmap_add_checked(c->any, pfn))
		return;
	n = map_get(&c->spill, pfn);
	if (map_put(&c->spill, pfn, n ? n + 1 : 2))
		return;
	perror("bench-tracker: map_put");
	exit(EXIT_FAILURE);
}

static void roaring_drop(void *self, uint64_t pfn, uint64_t gpa)
{
	struct compressed *c = self;
	uint64_t n = map_get(&c->spill, pfn);

	(void)gpa;
	if (n == 0)
		roaring_bitmap_remove(c->any, pfn);
	else if (n == 2)
		map_delete(&c->spill, pfn);
	else
		map_put(&c->spill, pfn, n - 1); /* replaces: cannot fail */
}

static bool roaring_has(const void *self, uint64_t pfn)
{
	return roaring_bitmap_contains(((const struct compressed *)self)->any, pfn);
}

static uint64_t roaring_count(const void *self, uint64_t pfn)
{
	uint64_t n = map_get(&((const struct compressed *)self)->spill, pfn);

	return n ? n : roaring_has(self, pfn);
}

const struct contender contender_roaring = {
	"croaring",   roaring_open, roaring_close, roaring_add,
	roaring_drop, roaring_has,  roaring_count,
};

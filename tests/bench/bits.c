/* SPDX-License-Identifier: MIT */
/* The reverse map of a tracker, without the tables that feed it; asked through the public API. */
#include <stdio.h>
#include <stdlib.h>

#include "contender.h"
#include "internal.h"

static const uint64_t *no_table(void *ctx, uint64_t pfn)
{
	(void)ctx;
	(void)pfn;
	return NULL;
}

static const struct at_ops no_ops = {.table = no_table};

static void *bits_open(uint64_t frames)
{
	struct at_config config = {.frames = frames, .ops = &no_ops};
	struct alias_tracker *at = at_new(&config);

	if (at)
		return at;
	perror("bench-tracker: at_new");
	exit(EXIT_FAILURE);
}

static void bits_close(void *self)
{
	at_free(self);
}

static void bits_add(void *self, uint64_t pfn, uint64_t gpa)
{
	struct alias_tracker *at = self;

	(void)gpa;
	if (leaf_count_add(&at->frames, COUNT_WRITABLE, 1, pfn))
		return;
	perror("bench-tracker: leaf_count_add");
	exit(EXIT_FAILURE);
}

static void bits_drop(void *self, uint64_t pfn, uint64_t gpa)
{
	struct alias_tracker *at = self;

	(void)gpa;
	leaf_count_drop(&at->frames, COUNT_WRITABLE, 1, pfn);
}

static bool bits_has(const void *self, uint64_t pfn)
{
	return at_has_alias(self, pfn);
}

static uint64_t bits_count(const void *self, uint64_t pfn)
{
	return at_alias_count(self, pfn);
}

const struct contender contender_bits = {
	"libaliastracker", bits_open, bits_close, bits_add, bits_drop, bits_has, bits_count,
};

/* SPDX-License-Identifier: MIT */
/*
 * 64 items of a few words each, of which those that are all zero need no memory: the others lie one
 * behind the other. When three quarters are there, room is made for all, and none is moved any more
 * until there are half of them.
 */
#ifndef PACK_H
#define PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACK_ITEMS 64u
#define PACK_ALL   (~0ull)

struct pack {
	uint64_t stored; /* bit i: item i has memory */
	uint64_t *items; /* NULL if none has */
};

/* How many bits are set: by adding up ever wider fields, as the compiler may not take it that the
 * processor counts them (Warren, Hacker's Delight, 5-1). */
static inline unsigned pack_count(uint64_t bits)
{
	bits -= bits >> 1 & 0x5555555555555555ull;
	bits = (bits & 0x3333333333333333ull) + (bits >> 2 & 0x3333333333333333ull);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (unsigned)(bits * 0x0101010101010101ull >> 56);
}

static inline unsigned pack_nr(const struct pack *pack)
{
	return pack_count(pack->stored);
}

/* How many are stored before item i. */
static inline unsigned pack_rank(const struct pack *pack, unsigned i)
{
	if (pack->stored == PACK_ALL)
		return i;
	return pack_count(pack->stored & ((1ull << i) - 1));
}

/* The item, or NULL: it is all zero. Valid until the next call of one of the functions below. */
static inline uint64_t *pack_find(const struct pack *pack, unsigned i, unsigned words)
{
	if (!(pack->stored >> i & 1))
		return NULL;
	return pack->items + (size_t)pack_rank(pack, i) * words;
}

/* The item, which has memory from now on; NULL when out of memory, and then nothing changed. The
 * number of words is the same in all calls for a pack. What it holds on the heap is kept in *bytes,
 * with that of others. */
uint64_t *pack_make(struct pack *pack, unsigned i, unsigned words, size_t *bytes);
/* The item has become all zero: it need not have memory. Never fails. */
void pack_drop(struct pack *pack, unsigned i, unsigned words, size_t *bytes);
/* An empty one gets room for these items, which are zero. False: out of memory, nothing changed. */
bool pack_init(struct pack *pack, uint64_t stored, unsigned words, size_t *bytes);
void pack_free(struct pack *pack, unsigned words, size_t *bytes);

#endif

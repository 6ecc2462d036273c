/* SPDX-License-Identifier: MIT */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

#define MANY 48u /* from so many items on all are stored, */
#define FEW  32u /* and when so many are left only those are */
#define STEP 4u  /* items by which one with few grows */

static unsigned room(unsigned nr)
{
	return nr >= MANY ? PACK_ITEMS : (nr + STEP - 1) / STEP * STEP;
}

/* Gives the items room for `nr`; those there are less than that, or fit. */
static bool resize(struct pack *pack, unsigned nr, unsigned words, size_t *bytes)
{
	size_t item = words * sizeof(*pack->items);
	unsigned had = room(pack_nr(pack)), wanted = room(nr);
	uint64_t *items;

	if (had == wanted)
		return true;
	items = realloc(pack->items, wanted * item);
	if (!items && wanted > had)
		return false;
	if (items)
		pack->items = items;
	*bytes += wanted * item;
	*bytes -= had * item;
	return true;
}

/* Moves the items, which have room for it, to where they are when all are stored. */
static void spread(struct pack *pack, unsigned words)
{
	size_t item = words * sizeof(*pack->items);
	unsigned at = pack_nr(pack);

	for (unsigned i = PACK_ITEMS; i-- > 0;) {
		uint64_t *to = pack->items + (size_t)i * words;

		if (pack->stored >> i & 1)
			memmove(to, pack->items + (size_t)--at * words, item);
		else
			memset(to, 0, item);
	}
	pack->stored = PACK_ALL;
}

uint64_t *pack_make(struct pack *pack, unsigned i, unsigned words, size_t *bytes)
{
	unsigned nr = pack_nr(pack), rank = pack_rank(pack, i);
	uint64_t *item;

	if (pack->stored >> i & 1)
		return pack->items + (size_t)rank * words;
	if (!resize(pack, nr + 1, words, bytes))
		return NULL;
	if (nr + 1 == MANY) {
		spread(pack, words);
		return pack->items + (size_t)i * words;
	}
	item = pack->items + (size_t)rank * words;
	memmove(item + words, item, (size_t)(nr - rank) * words * sizeof(*item));
	memset(item, 0, words * sizeof(*item));
	pack->stored |= 1ull << i;
	return item;
}

static bool is_zero(const uint64_t *item, unsigned words)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < words; i++)
		any |= item[i];
	return !any;
}

/* Which items are not zero, where all are stored. */
static uint64_t not_zero(const struct pack *pack, unsigned words)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < PACK_ITEMS; i++)
		if (!is_zero(pack->items + (size_t)i * words, words))
			found |= 1ull << i;
	return found;
}

/* Moves those items to the front. */
static void gather(struct pack *pack, uint64_t wanted, unsigned words)
{
	uint64_t *to = pack->items;

	for (; wanted; wanted &= wanted - 1, to += words)
		memmove(to, pack->items + (size_t)__builtin_ctzll(wanted) * words,
			words * sizeof(*to));
}

/* Of fewer items; the memory stays as large where it cannot be made smaller. */
static void shrink(struct pack *pack, uint64_t wanted, unsigned words, size_t *bytes)
{
	if (wanted) {
		resize(pack, pack_count(wanted), words, bytes);
		pack->stored = wanted;
	} else {
		pack_free(pack, words, bytes);
	}
}

void pack_drop(struct pack *pack, unsigned i, unsigned words, size_t *bytes)
{
	uint64_t bit = 1ull << i, wanted = pack->stored & ~bit;
	uint64_t *item = pack_find(pack, i, words);

	if (!item)
		return;
	if (pack->stored == PACK_ALL) {
		wanted = not_zero(pack, words) & ~bit;
		if (pack_count(wanted) > FEW)
			return;
		gather(pack, wanted, words);
	} else {
		memmove(item, item + words,
			(pack_nr(pack) - pack_rank(pack, i) - 1) * words * sizeof(*item));
	}
	shrink(pack, wanted, words, bytes);
}

bool pack_init(struct pack *pack, uint64_t stored, unsigned words, size_t *bytes)
{
	unsigned nr = room(pack_count(stored));
	size_t size = (size_t)nr * words * sizeof(*pack->items);

	*pack = (struct pack){0};
	if (!stored)
		return true;
	pack->items = calloc(1, size);
	if (!pack->items)
		return false;
	pack->stored = nr == PACK_ITEMS ? PACK_ALL : stored;
	*bytes += size;
	return true;
}

void pack_free(struct pack *pack, unsigned words, size_t *bytes)
{
	*bytes -= (size_t)room(pack_nr(pack)) * words * sizeof(*pack->items);
	free(pack->items);
	*pack = (struct pack){0};
}

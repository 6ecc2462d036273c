/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "internal.h"

static size_t nr_blocks(const struct count *count)
{
	return (count->units + COUNT_BLOCK - 1) / COUNT_BLOCK;
}

bool count_init(struct count *count, uint64_t units, uint64_t seed)
{
	*count = (struct count){.units = units};
	count->blocks = calloc(nr_blocks(count), sizeof(*count->blocks));
	map_init(&count->spill, seed);
	if (!count->blocks)
		return false;
	count->bytes = nr_blocks(count) * sizeof(*count->blocks);
	return true;
}

static void block_clear(struct count *count, struct count_block *block)
{
	struct count_block *more = block->more;

	pack_free(&block->any, 1, &count->bytes);
	if (!more)
		return;
	block_clear(count, more);
	free(more);
}

void count_free(struct count *count)
{
	if (count->blocks)
		for (size_t i = 0; i < nr_blocks(count); i++)
			block_clear(count, &count->blocks[i]);
	map_clear(&count->spill);
	free(count->blocks);
	*count = (struct count){0};
}

/* --- one bit of a block ----------------------------------------------------------------------- */

static bool block_set(struct count *count, struct count_block *block, uint64_t unit)
{
	uint64_t *word = pack_make(&block->any, unit / 64 % PACK_ITEMS, 1, &count->bytes);

	if (!word)
		return false;
	*word |= 1ull << unit % 64;
	return true;
}

static void block_unset(struct count *count, struct count_block *block, uint64_t unit)
{
	uint64_t *word = pack_find(&block->any, unit / 64 % PACK_ITEMS, 1);

	*word &= ~(1ull << unit % 64);
	if (!*word)
		pack_drop(&block->any, unit / 64 % PACK_ITEMS, 1, &count->bytes);
}

/* --- counting --------------------------------------------------------------------------------- */

/* The block that says if there are more than this one says; NULL when out of memory. */
static struct count_block *block_more(struct count *count, struct count_block *block)
{
	if (block->more)
		return block->more;
	block->more = calloc(1, sizeof(*block->more));
	if (block->more)
		count->bytes += sizeof(*block->more);
	return block->more;
}

static bool spill_add(struct count *count, uint64_t unit)
{
	struct map_slot *slot = map_find(&count->spill, unit);

	if (!slot)
		return map_put(&count->spill, unit, 1);
	slot->value++;
	return true;
}

bool count_add(struct count *count, uint64_t unit)
{
	struct count_block *block;

	if (unit >= count->units)
		return true;
	block = &count->blocks[unit / COUNT_BLOCK];
	for (unsigned depth = 1; block_has(block, unit); depth++) {
		if (depth == COUNT_DEPTH)
			return spill_add(count, unit);
		block = block_more(count, block);
		if (!block)
			return false;
	}
	if (!block_set(count, block, unit))
		return false;
	if (unit >= count->end)
		count->end = unit + 1;
	return true;
}

/* False if the unit has nothing there. */
static bool spill_drop(struct count *count, uint64_t unit)
{
	struct map_slot *slot = map_find(&count->spill, unit);

	if (!slot)
		return false;
	if (slot->value == 1)
		map_delete(&count->spill, unit);
	else
		slot->value--;
	return true;
}

/* The block of the last bit that is set for the unit, and how many there are. */
static struct count_block *last_of(const struct count *count, uint64_t unit, unsigned *depth)
{
	struct count_block *block = &count->blocks[unit / COUNT_BLOCK];

	*depth = 1;
	while (block->more && block_has(block->more, unit)) {
		block = block->more;
		++*depth;
	}
	return block;
}

bool count_drop(struct count *count, uint64_t unit)
{
	struct count_block *block;
	unsigned depth;

	if (unit >= count->units)
		return false;
	block = last_of(count, unit, &depth);
	if (depth < COUNT_DEPTH || !spill_drop(count, unit))
		block_unset(count, block, unit);
	return depth == 1;
}

uint64_t count_of(const struct count *count, uint64_t unit)
{
	unsigned depth;

	if (!count_any(count, unit))
		return 0;
	last_of(count, unit, &depth);
	return depth + (depth == COUNT_DEPTH ? map_get(&count->spill, unit) : 0);
}

size_t count_bytes(const struct count *count)
{
	return count->bytes + map_bytes(&count->spill);
}

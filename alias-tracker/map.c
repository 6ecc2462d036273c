/* SPDX-License-Identifier: MIT */
#include "map.h"

#include <stdlib.h>

#define CAPACITY_MIN 16u

/* The finaliser of MurmurHash3 (Austin Appleby, public domain): every bit of the key reaches every
 * bit of the hash. */
static uint64_t hash(const struct map *map, uint64_t key)
{
	uint64_t h = key ^ map->seed;

	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ull;
	h ^= h >> 33;
	return h;
}

static size_t home_of(const struct map *map, uint64_t key)
{
	return hash(map, key) & (map->capacity - 1);
}

/* The slot that holds the key, or the free one where it belongs. */
static struct map_slot *slot_of(const struct map *map, uint64_t key)
{
	size_t i = home_of(map, key);

	while (map->slots[i].value && map->slots[i].key != key)
		i = (i + 1) & (map->capacity - 1);
	return &map->slots[i];
}

static bool resize(struct map *map, size_t capacity)
{
	struct map old = *map;
	struct map_slot *slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return false;
	map->slots = slots;
	map->capacity = capacity;
	for (size_t i = 0; i < old.capacity; i++)
		if (old.slots[i].value)
			*slot_of(map, old.slots[i].key) = old.slots[i];
	free(old.slots);
	return true;
}

void map_init(struct map *map, uint64_t seed)
{
	*map = (struct map){.seed = seed};
}

void map_clear(struct map *map)
{
	free(map->slots);
	map_init(map, map->seed);
}

uint64_t map_get(const struct map *map, uint64_t key)
{
	return map->used ? slot_of(map, key)->value : 0;
}

static bool make_room(struct map *map)
{
	if (!map->capacity)
		return resize(map, CAPACITY_MIN);
	return map->used < map->capacity / 4 * 3 || resize(map, map->capacity * 2);
}

bool map_put(struct map *map, uint64_t key, uint64_t value)
{
	struct map_slot *slot = map->used ? slot_of(map, key) : NULL;

	if (!slot || !slot->value) {
		if (!make_room(map))
			return false;
		slot = slot_of(map, key);
		map->used++;
	}
	*slot = (struct map_slot){.key = key, .value = value};
	return true;
}

/* Frees slot i and moves up the keys after it whose probing would otherwise end there. */
static void close_gap(struct map *map, size_t i)
{
	size_t mask = map->capacity - 1;

	for (size_t j = (i + 1) & mask; map->slots[j].value; j = (j + 1) & mask) {
		size_t home = home_of(map, map->slots[j].key);

		if (((j - home) & mask) >= ((j - i) & mask)) {
			map->slots[i] = map->slots[j];
			i = j;
		}
	}
	map->slots[i].value = 0;
}

void map_delete(struct map *map, uint64_t key)
{
	struct map_slot *slot = map->used ? slot_of(map, key) : NULL;

	if (!slot || !slot->value)
		return;
	map->used--;
	close_gap(map, slot - map->slots);
	/* Staying large is no error. */
	if (map->capacity > CAPACITY_MIN && map->used < map->capacity / 8)
		resize(map, map->capacity / 2);
}

bool map_next(const struct map *map, size_t *at, uint64_t *key, uint64_t *value)
{
	for (; *at < map->capacity; (*at)++) {
		const struct map_slot *slot = &map->slots[*at];

		if (slot->value) {
			*key = slot->key;
			*value = slot->value;
			(*at)++;
			return true;
		}
	}
	return false;
}

size_t map_bytes(const struct map *map)
{
	return map->capacity * sizeof(*map->slots);
}

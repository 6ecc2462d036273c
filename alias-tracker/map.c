/* SPDX-License-Identifier: MIT */
#include "map.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 16u

static bool map_resize(struct map *map, size_t capacity)
{
	struct map old = *map;
	struct map_slot *slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return false;
	map->slots = slots;
	map->capacity = capacity;
	map->shift = 64 - (unsigned)__builtin_ctzll(capacity);
	for (size_t i = 0; i < old.capacity; i++)
		if (old.slots[i].value)
			*map_slot(map, old.slots[i].key) = old.slots[i];
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
	*map = (struct map){.seed = map->seed};
}

void map_empty(struct map *map)
{
	/* What is kept must not cost more to empty than to fill. */
	if (map->capacity > CAPACITY_MIN && map->used < map->capacity / 8) {
		map_clear(map);
		return;
	}
	if (map->used)
		memset(map->slots, 0, map->capacity * sizeof(*map->slots));
	map->used = 0;
}

bool map_grow(struct map *map)
{
	return map_resize(map, map->capacity ? map->capacity * 2 : CAPACITY_MIN);
}

bool map_put(struct map *map, uint64_t key, uint64_t value)
{
	struct map_slot *slot = map_make(map, key);

	if (slot)
		slot->value = value;
	return slot != NULL;
}

/* Frees slot i and moves up the keys after it whose probing would otherwise end there. */
static void close_gap(struct map *map, size_t i)
{
	size_t mask = map->capacity - 1;

	for (size_t j = (i + 1) & mask; map->slots[j].value; j = (j + 1) & mask) {
		size_t home = map_home(map, map->slots[j].key);

		if (((j - home) & mask) >= ((j - i) & mask)) {
			map->slots[i] = map->slots[j];
			i = j;
		}
	}
	map->slots[i].value = 0;
}

void map_delete(struct map *map, uint64_t key)
{
	struct map_slot *slot = map_find(map, key);

	if (!slot)
		return;
	map->used--;
	close_gap(map, slot - map->slots);
	/* Staying large is no error. */
	if (map->capacity > CAPACITY_MIN && map->used < map->capacity / 8)
		map_resize(map, map->capacity / 2);
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

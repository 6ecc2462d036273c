/* SPDX-License-Identifier: MIT */
/*
 * A hash map from 64-bit keys to 64-bit values that are not 0: open addressing, linear probing, no
 * tombstones. Any key will do. Grows at three quarters full, shrinks when an eighth is left.
 */
#ifndef MAP_H
#define MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t key;
	uint64_t value; /* 0: the slot is free */
};

struct map {
	struct map_slot *slots; /* NULL until something is put in */
	size_t capacity;        /* a power of two, or 0 */
	size_t used;
	unsigned shift; /* of a hash, to get a slot */
	uint64_t seed;  /* mixed into the hash, so that a guest can't choose keys that collide */
};

/* A map that was never used holds no memory. */
void map_init(struct map *map, uint64_t seed);
/* Frees all it holds; it is empty and usable after. O(1). */
void map_clear(struct map *map);
/* The same, but keeps the memory if an eighth of it was in use; O(capacity). */
void map_empty(struct map *map);

/* Two rounds of multiply and shift: keys that follow one another go to unrelated slots, whatever
 * the seed. (One multiplication leaves them in step, and linear probing then makes long runs of
 * them.) */
static inline size_t map_home(const struct map *map, uint64_t key)
{
	uint64_t x = (key ^ map->seed) * 0x9fb21c651e98df25ull;

	return (x ^ x >> 32) * 0xd6e8feb86659fd93ull >> map->shift;
}

/* The slot that holds the key, or the free one where it belongs; the map has slots. */
static inline struct map_slot *map_slot(const struct map *map, uint64_t key)
{
	size_t i = map_home(map, key);

	while (map->slots[i].value && map->slots[i].key != key)
		i = (i + 1) & (map->capacity - 1);
	return &map->slots[i];
}

/* The slot of a key that is there, whose value may be replaced; or NULL. Valid until the next
 * map_put() of a new key or map_delete(). */
static inline struct map_slot *map_find(const struct map *map, uint64_t key)
{
	struct map_slot *slot = map->used ? map_slot(map, key) : NULL;

	return slot && slot->value ? slot : NULL;
}

/* The value, or 0 if the key isn't there. */
static inline uint64_t map_get(const struct map *map, uint64_t key)
{
	return map->used ? map_slot(map, key)->value : 0;
}

/* Room for more keys. False when out of memory, and then nothing changed. */
bool map_grow(struct map *map);
/* The slot of a key, which is put in with value 0 if it isn't there: then the caller sets a value.
 * NULL when out of memory, and then nothing changed. Valid until the next change of another key. */
static inline struct map_slot *map_make(struct map *map, uint64_t key)
{
	struct map_slot *slot;

	if (map->used >= map->capacity / 4 * 3) {
		/* It may be there, and then needs no room. */
		slot = map_find(map, key);
		if (slot || !map_grow(map))
			return slot;
	}
	slot = map_slot(map, key);
	if (!slot->value) {
		slot->key = key;
		map->used++;
	}
	return slot;
}
/* Inserts, or replaces the value. False when out of memory, and then nothing changed; replacing
 * never fails. `value` is not 0. */
bool map_put(struct map *map, uint64_t key, uint64_t value);
/* Never fails; a key that isn't there is ignored. */
void map_delete(struct map *map, uint64_t key);

/* Iteration in no particular order: start with *at = 0; false at the end. No changes meanwhile. */
bool map_next(const struct map *map, size_t *at, uint64_t *key, uint64_t *value);

/* Bytes on the heap. */
size_t map_bytes(const struct map *map);

#endif

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
	uint64_t seed; /* mixed into the hash, so that nobody can choose keys that collide */
};

/* A map that was never used holds no memory. All-zero is one, too, with the seed 0. */
void map_init(struct map *map, uint64_t seed);
/* Frees all it holds; it is empty and usable after. O(1). */
void map_clear(struct map *map);

/* The value, or 0 if the key isn't there. */
uint64_t map_get(const struct map *map, uint64_t key);
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

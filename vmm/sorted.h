/* SPDX-License-Identifier: MIT */
/* Binary search in an array of structures, `size` bytes each, in ascending order of the uint64_t
 * that each of them begins with. */
#ifndef VMM_SORTED_H
#define VMM_SORTED_H

#include <stddef.h>
#include <stdint.h>

/* Returns how many of them have at most this key: the index behind the last one. */
static inline size_t sorted_up_to(const void *first, size_t nr, size_t size, uint64_t key)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (*(const uint64_t *)((const char *)first + middle * size) <= key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Returns how many of them have less than this key: the index of the first one that has it or more.
 */
static inline size_t sorted_below(const void *first, size_t nr, size_t size, uint64_t key)
{
	return key ? sorted_up_to(first, nr, size, key - 1) : 0;
}

#endif

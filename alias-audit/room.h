/* SPDX-License-Identifier: MIT */
/* Arrays that grow by one element after the other. */
#ifndef AUDIT_ROOM_H
#define AUDIT_ROOM_H

#include <stddef.h>
#include <stdlib.h>

/* Makes room for one more than the `nr` elements of `size` bytes that the array has; it doubles
 * whenever that is a power of two. Returns the array, which may have moved; NULL if there is no
 * memory, and then it is as it was. */
static inline void *room_for_one(void *array, size_t nr, size_t size)
{
	return nr & (nr - 1) ? array : reallocarray(array, nr ? 2 * nr : 1, size);
}

#endif

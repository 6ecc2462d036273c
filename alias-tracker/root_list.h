/* SPDX-License-Identifier: MIT */
/* A list of root tables, in no particular order. */
#ifndef ROOT_LIST_H
#define ROOT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct root_list {
	uint64_t *pfn;
	size_t nr, max;
};

/* Room for one more. False if out of memory. */
static inline bool root_list_reserve(struct root_list *list)
{
	size_t max = list->max ? list->max * 2 : 16;
	uint64_t *grown;

	if (list->nr < list->max)
		return true;
	grown = realloc(list->pfn, max * sizeof(*grown));
	if (!grown)
		return false;
	list->pfn = grown;
	list->max = max;
	return true;
}

/* Where there is room. */
static inline void root_list_append(struct root_list *list, uint64_t pfn)
{
	list->pfn[list->nr++] = pfn;
}

/* The last one takes its place. Returns that one, which may be itself. */
static inline uint64_t root_list_remove(struct root_list *list, size_t index)
{
	uint64_t moved = list->pfn[--list->nr];

	list->pfn[index] = moved;
	return moved;
}

#endif

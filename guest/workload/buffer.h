/* SPDX-License-Identifier: MIT */
/* Buffers of scattered frames: mapped, filled, checked, unmapped and freed. */
#ifndef WORKLOAD_BUFFER_H
#define WORKLOAD_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "worker.h"

#define BUFFER_PAGES 100u /* maximum; above VMAP_MAX_ALLOC a buffer has an area of its own */

struct buffer {
	uint64_t *addr; /* NULL: no buffer */
	unsigned nr;    /* pages */
	bool ram;       /* mapped by vm_map_ram() */
	uint64_t pfns[BUFFER_PAGES];
};

/* Allocates frames and maps them. Returns false on failure. */
bool buffer_map(struct worker *w, struct buffer *b, unsigned nr, bool ram);
/* Unmaps it and frees the frames. */
void buffer_unmap(struct buffer *b);
/* use_page() for each page. */
bool buffer_use(struct worker *w, const struct buffer *b);

/* Writes through `mapped` and reads through the direct map, and then the other way round. Returns
 * false if a value differs. */
bool use_page(struct worker *w, volatile uint64_t *mapped, uint64_t pfn);

#endif

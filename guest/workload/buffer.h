/* SPDX-License-Identifier: MIT */
/* Buffers of scattered frames that are mapped, filled, checked, unmapped and freed. */
#ifndef WORKLOAD_BUFFER_H
#define WORKLOAD_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "worker.h"

#define BUFFER_PAGES 100u /* at most; above VMAP_MAX_ALLOC it gets an area of its own */

struct buffer {
	uint64_t *addr; /* NULL: none */
	unsigned nr;    /* pages */
	bool ram;       /* by vm_map_ram() */
	uint64_t pfns[BUFFER_PAGES];
};

/* Takes frames and maps them; false if that fails. */
bool buffer_map(struct worker *w, struct buffer *b, unsigned nr, bool ram);
/* Unmaps it and frees the frames. */
void buffer_unmap(struct buffer *b);
/* use_page() for each page. */
bool buffer_use(struct worker *w, const struct buffer *b);

/* Writes through a mapping of the frame and reads through the direct map, then the other way round;
 * false if that doesn't come out. */
bool use_page(struct worker *w, volatile uint64_t *mapped, uint64_t pfn);

#endif

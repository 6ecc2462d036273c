/* SPDX-License-Identifier: MIT */
/* How many pages a vmap space held lazily, over time. Guarded by the lock of the space. */
#ifndef VMAP_HISTORY_H
#define VMAP_HISTORY_H

#include <stdint.h>

#define VMAP_HISTORY_MAX 1024u

struct vmap_history {
	unsigned nr;    /* samples */
	unsigned every; /* so many changes make one of them, at least 1 */
	unsigned left;  /* changes until the next */
	struct vmap_sample {
		uint64_t tsc;
		uint64_t pages;
	} samples[VMAP_HISTORY_MAX];
};

/* The number of pages has changed. When there is no room, every other sample is dropped. */
void vmap_history_note(struct vmap_history *history, uint64_t pages);

#endif

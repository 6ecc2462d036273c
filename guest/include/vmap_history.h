/* SPDX-License-Identifier: MIT */
/* The number of lazy pages of a vmap space over time. Guarded by the lock of the space. */
#ifndef VMAP_HISTORY_H
#define VMAP_HISTORY_H

#include <stdint.h>

#define VMAP_HISTORY_MAX 1024u

struct vmap_history {
	unsigned nr;    /* samples */
	unsigned every; /* one sample for so many changes, at least 1 */
	unsigned left;  /* changes until the next sample */
	struct vmap_sample {
		uint64_t tsc;
		uint64_t pages;
	} samples[VMAP_HISTORY_MAX];
};

/* Notes that the number of lazy pages is `pages` now. When the array is full, every other sample is
 * dropped. */
void vmap_history_note(struct vmap_history *history, uint64_t pages);

#endif

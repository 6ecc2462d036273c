/* SPDX-License-Identifier: MIT */
/* alias=PERCENT: that many of each hundred frames have a stale alias when they make a
 * transition. */
#ifndef WORKLOAD_SHARE_H
#define WORKLOAD_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

/* Exactly that many of each hundred; which ones, is random. */
struct share {
	struct rng rng;
	uint64_t percent;
	uint64_t left, due; /* in this hundred: draws left, and aliased ones among them */
};

/* Is alias= given? If not, share_init() takes 50. */
bool alias_is_chosen(void);
struct share share_init(uint64_t seed, uint64_t stream);
/* Draws: is the next frame to have an alias? */
bool share_draw(struct share *share);

/* Maps the frame with these PTE flags, uses the mapping, and unmaps it lazily. */
void leave_alias(uint64_t pfn, uint64_t prot);

#endif

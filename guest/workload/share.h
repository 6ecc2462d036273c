/* SPDX-License-Identifier: MIT */
/* alias=PERCENT: so many of each hundred frames have a stale alias when they become something. */
#ifndef WORKLOAD_SHARE_H
#define WORKLOAD_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

/* Of each hundred exactly the share; which, is drawn. */
struct share {
	struct rng rng;
	uint64_t percent;
	uint64_t left, due; /* of this hundred: those to come, and aliased ones among them */
};

/* Does alias= say anything? If not, share_init() takes half. */
bool alias_is_chosen(void);
struct share share_init(uint64_t seed, uint64_t stream);
/* Is the next to be aliased? */
bool share_draw(struct share *share);

/* Maps the frame with these PTE flags, uses the mapping, and forgets it. */
void leave_alias(uint64_t pfn, uint64_t prot);

#endif

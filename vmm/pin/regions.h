/* SPDX-License-Identifier: MIT */
/* Sets of the guest's regions: a bit for each 2 MiB of its addresses. */
#ifndef VMM_PIN_REGIONS_H
#define VMM_PIN_REGIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kvm/memory.h"

#define REGION_FRAMES 512u

/* Bytes of a set that has room for all of memory. */
static inline size_t regions_size(const struct memory *mem)
{
	return (memory_end_pfn(mem) / REGION_FRAMES / 64 + 1) * sizeof(uint64_t);
}

/* The region of this frame, which is below memory_end_pfn(). */
static inline void regions_add(uint64_t *regions, uint64_t pfn)
{
	uint64_t region = pfn / REGION_FRAMES;

	regions[region / 64] |= 1ull << region % 64;
}

static inline bool regions_have(const uint64_t *regions, uint64_t pfn)
{
	uint64_t region = pfn / REGION_FRAMES;

	return regions[region / 64] >> region % 64 & 1;
}

#endif

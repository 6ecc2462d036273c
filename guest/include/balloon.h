/* SPDX-License-Identifier: MIT */
/*
 * The balloon: frames that the guest gives to the host (inflate) and takes back (deflate). The host
 * refuses a frame that is mapped anywhere but in the direct map; the strategy has stale mappings
 * purged before (alias_abi.h). To the frame allocator, frames in the balloon remain allocated.
 */
#ifndef BALLOON_H
#define BALLOON_H

#include <stdint.h>

/* Gives these frames, which the caller has allocated and which are of type MEMORY_WB, to the host.
 * Returns 0, and nothing may access the frames any more. Returns -1, after a message on the
 * console, if the host refused any of them: then it keeps none, but their content may be lost. The
 * rules of a pin apply (pin.h). */
int balloon_inflate(const uint64_t *pfns, unsigned n);
/* Takes frames back from the host, filled with zeroes. Returns 0. Returns -1, after a message, if
 * the host has no memory for all of them: then all remain the host's. */
int balloon_deflate(const uint64_t *pfns, unsigned n);

#endif

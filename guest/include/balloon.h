/* SPDX-License-Identifier: MIT */
/*
 * Frames that are given away to the host, as a balloon's are, or that come back. No mapping of a
 * frame that is given away may be left but its place in the direct map; stale ones are purged the
 * way the strategy does it, before the host agrees (alias_abi.h). For the frame allocator the frame
 * stays in use, by whoever gave it away.
 */
#ifndef BALLOON_H
#define BALLOON_H

#include <stdint.h>

/* The frames, which are of type MEMORY_WB and are the caller's, are the host's. Returns 0, or -1 if
 * it did not agree to all of them (says so): then it has none, but what they held may be gone. From
 * the return on nobody touches them. Like a pin (pin.h). */
int balloon_inflate(const uint64_t *pfns, unsigned n);
/* They come back, and hold zeroes. Returns 0, or -1 if the host has no memory for all of them (says
 * so): then all are away as before. */
int balloon_deflate(const uint64_t *pfns, unsigned n);

#endif

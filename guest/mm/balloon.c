/* SPDX-License-Identifier: MIT */
#include "balloon.h"

#include "pin.h"

static const struct pin_req give = {.op = PIN_OP_INFLATE}, take = {.op = PIN_OP_DEFLATE};

int balloon_inflate(const uint64_t *pfns, unsigned n)
{
	return pin_frames(pfns, n, give, take);
}

int balloon_deflate(const uint64_t *pfns, unsigned n)
{
	return pin_frames(pfns, n, take, give);
}

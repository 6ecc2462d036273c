/* SPDX-License-Identifier: MIT */
#include "contender.h"

#include <stdio.h>
#include <stdlib.h>

const struct contender *const contenders[] = {
	&contender_bits,
	&contender_chain,
#if __has_include(<glib.h>)
	&contender_ghash,
#endif
#if __has_include(<roaring/roaring.h>)
	&contender_roaring,
#endif
	NULL,
};

void contender_touch(const struct contender *c, void *self, uint64_t frames)
{
	const uint64_t no_entry = 8; /* frame 0 holds no table of any load */

	for (uint64_t pfn = 0; pfn < frames; pfn += 512) {
		c->add(self, pfn, no_entry);
		c->drop(self, pfn, no_entry);
	}
}

void *must_calloc(uint64_t n, uint64_t size)
{
	void *p = calloc(n, size);

	if (p)
		return p;
	fprintf(stderr, "bench-tracker: out of memory (%llu bytes)\n",
		(unsigned long long)(n * size));
	exit(EXIT_FAILURE);
}

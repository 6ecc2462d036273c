/* SPDX-License-Identifier: MIT */
/*
 * What is measured beside each other: ways to keep how many writable leaves map each guest frame.
 * All keep enough to answer exactly when leaves come and go in any order.
 */
#ifndef CONTENDER_H
#define CONTENDER_H

#include <stdbool.h>
#include <stdint.h>

struct contender {
	const char *name;
	/* Empty, for frames 0 .. frames - 1. All of these exit when out of memory. */
	void *(*open)(uint64_t frames);
	void (*close)(void *self);
	/* The leaf at `gpa` begins, or ceases, to map the frame. */
	void (*add)(void *self, uint64_t pfn, uint64_t gpa);
	void (*drop)(void *self, uint64_t pfn, uint64_t gpa);
	bool (*has)(const void *self, uint64_t pfn);
	uint64_t (*count)(const void *self, uint64_t pfn);
};

extern const struct contender
	contender_bits; /* libaliastracker's: a bit a frame, counts from two aside */
extern const struct contender
	contender_chain; /* 8 bytes a frame, chained beyond the first, as in KVM */
#if __has_include(<glib.h>)
extern const struct contender contender_ghash; /* GLib's GHashTable: frame -> count */
#endif
#if __has_include(<roaring/roaring.h>)
extern const struct contender contender_roaring; /* CRoaring: a bitmap for each count up to four */
#endif

/* All that were built in, `bits` first; NULL ends the list. */
extern const struct contender *const contenders[];

/* Has the system give out all the memory that it put off; leaves everything as it was. */
void contender_touch(const struct contender *c, void *self, uint64_t frames);

/* calloc() that exits when out of memory. */
void *must_calloc(uint64_t n, uint64_t size);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

#define COLUMNS    5u /* contenders, the tracker first, the rescan last */
#define ROUNDS_MAX 99u

enum what {
	MEMORY,
	MEMORY_ALL,
	UPDATE,
	QUERY,
	SYNC_SAME, /* arming is free */
	SYNC_ANY,
	ROUND_SAME, /* it is not, and the guest's writes are in it */
	ROUND_ANY,
	ARMS_SAME,
	ARMS_ANY,
	PIN,
	WHATS
};

/* What was not measured is negative. */
struct figure {
	double value; /* the median of all rounds */
	double ratio; /* to the tracker's: the median of those in the same round */
};

/* One guest size. */
struct result {
	uint64_t gib, frames, tables, leaves;
	unsigned rounds;
	struct figure figures[WHATS][COLUMNS];
};

/* Bytes a frame, nanoseconds, and counts, in so many rounds (1 .. ROUNDS_MAX) in each of which all
 * contenders have a turn. Says on a terminal what it is at. Exits if one gives a wrong answer. */
void measure(struct result *result, uint64_t gib, unsigned rounds);

/* Do all contenders give the right answers on one stream? Prints `ok NAME` lines; an exit status.
 */
int smoke(void);

#endif

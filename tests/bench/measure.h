/* SPDX-License-Identifier: MIT */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

#define COLUMNS 5u /* contenders, the rescan last */

enum what {
	MEMORY,
	MEMORY_ALL,
	UPDATE,
	QUERY,
	SYNC_SAME,
	SYNC_ANY,
	SYNC_ARMED,
	ARMS_SAME,
	ARMS_ANY,
	PIN,
	WHATS
};

/* One guest size. What was not measured is negative. */
struct result {
	uint64_t gib, frames, tables, leaves;
	double values[WHATS][COLUMNS];
};

/* Bytes a frame, and nanoseconds: the first quartile of batches. Exits if two contenders disagree.
 */
void measure(struct result *result, uint64_t gib);

/* Do all contenders give the right answers on one stream? Prints `ok NAME` lines; an exit status.
 */
int smoke(void);

#endif

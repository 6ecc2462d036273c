/* SPDX-License-Identifier: MIT */
/* Where an ELF core has holes: a sparse file is looked through as fast as what it holds. It is a
 * hint, and no more: what memory is there, and what it holds, libkdumpfile says. */
#ifndef AUDIT_CORE_HOLES_H
#define AUDIT_CORE_HOLES_H

#include <stddef.h>
#include <stdint.h>

#define CORE_SEGMENTS_MAX 256u

/* Memory that a core holds in one piece; one frame may be in several. */
struct core_segment {
	uint64_t gpa, size, offset; /* in the file */
};

/* Zeros: nothing is known of holes. */
struct core_segments {
	struct core_segment segment[CORE_SEGMENTS_MAX];
	size_t nr;
};

/* Takes the segments of an ELF core; none if they can't be read, or are too many. */
void core_holes_read(struct core_segments *segments, int fd);
/* The first address from `gpa` on, and before `end`, of which the file holds something, or `end`.
 */
uint64_t core_holes_next_data(const struct core_segments *segments, int fd, uint64_t gpa,
			      uint64_t end);

#endif

/* SPDX-License-Identifier: MIT */
/* What the program headers of an ELF core tell: where its notes are, and where it has holes, so
 * that a sparse file is looked through as fast as what it holds. Of holes it is a hint, and no
 * more: what memory is there, and what it holds, libkdumpfile says. */
#ifndef AUDIT_CORE_ELF_H
#define AUDIT_CORE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core_notes.h"
#include "notes.h"

/* Memory that a core holds in one piece; one frame may be in several. */
struct core_segment {
	uint64_t all_end;           /* where this and all before it have ended */
	uint64_t gpa, size, offset; /* in the file, as far as that goes */
};

/* Zeros: nothing is known of holes. */
struct core_segments {
	struct core_segment *segment; /* by gpa */
	size_t nr;
	bool known; /* these are all */
};

/* Takes the segments of the ELF core in `fd`, to be freed by core_segments_free() in any case, and
 * adds the vCPUs that its notes tell of. That it is cut, or that something of it can't be read,
 * becomes a doubt. Returns 0, or -ENOMEM. */
int core_elf_read(int fd, struct core_segments *segments, struct core_cpus *cpus,
		  struct notes *doubts);
void core_segments_free(struct core_segments *segments);
/* The first address from `gpa` on, and before `end`, of which the file holds something, or `end`.
 */
uint64_t core_elf_next_data(const struct core_segments *segments, int fd, uint64_t gpa,
			    uint64_t end);

#endif

/* SPDX-License-Identifier: MIT */
/* What the program headers of an ELF core tell: where its notes are, what memory it has, and where
 * it has holes, so that a sparse file is looked through as fast as what it holds. What memory
 * holds, libkdumpfile says. */
#ifndef AUDIT_CORE_ELF_H
#define AUDIT_CORE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core_notes.h"
#include "notes.h"
#include "physmem.h"

/* Memory that a core holds in one piece; one frame may be in several. */
struct core_segment {
	uint64_t all_end; /* where this and all before it have ended, in the file */
	uint64_t gpa, size;
	uint64_t offset, in_file; /* where in the file, and how much of it is there */
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
/* Adds the memory that they are, to a physmem that is empty. (libkdumpfile 0.5.1 finds no end of a
 * segment that has another in it, as in cores of kdump that of all memory has that of the kernel's
 * image.) Returns 0, or as physmem_add(). */
int core_elf_ranges(const struct core_segments *segments, struct physmem *mem);
void core_segments_free(struct core_segments *segments);
/* The first address from `gpa` on, and before `end`, of which the file holds something, or `end`.
 */
uint64_t core_elf_next_data(const struct core_segments *segments, int fd, uint64_t gpa,
			    uint64_t end);

#endif

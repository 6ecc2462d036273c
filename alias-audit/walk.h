/* SPDX-License-Identifier: MIT */
/* A walk over one tree of page tables, for finding windows. */
#ifndef AUDIT_WALK_H
#define AUDIT_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include "physmem.h"

struct walk_leaf {
	uint64_t va, gpa;
	uint64_t pte_gpa, pte;
	unsigned level;
	bool writable, user, exec; /* over the whole path */
};

/* Returns false to end the walk. */
typedef bool walk_visit(void *ctx, const struct walk_leaf *leaf);

/* Visits the present leaves below the entries [first, end) of the root in this frame. Those of a
 * table are visited once for each level and for each set of rights with which the table is reached,
 * with the first of its addresses. So a walk costs no more than the guest has frames, whatever its
 * tables link. Returns 0, also if the visitor has ended it, or -ENOMEM. */
int walk_leaves(struct physmem *mem, uint64_t root_pfn, unsigned levels, unsigned first,
		unsigned end, walk_visit *visit, void *ctx);

#endif

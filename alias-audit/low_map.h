/* SPDX-License-Identifier: MIT */
/* What a root that maps low addresses for the kernel alone maps there. */
#ifndef AUDIT_LOW_MAP_H
#define AUDIT_LOW_MAP_H

#include <stddef.h>
#include <stdint.h>
#include "findings.h"
#include "physmem.h"

/* Fills in *low for the root in this frame. `tables` are the pfns of the `nr` page tables that are
 * known, ascending. Returns 0, or -ENOMEM. */
int low_map_describe(struct low_map *low, struct physmem *mem, uint64_t root_pfn, unsigned levels,
		     const uint64_t *tables, size_t nr);

#endif

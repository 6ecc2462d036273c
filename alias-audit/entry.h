/* SPDX-License-Identifier: MIT */
/* Entries of page tables, as far as roots and windows are found by them. (What an alias is the
 * tracker alone judges.) */
#ifndef AUDIT_ENTRY_H
#define AUDIT_ENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include "pte.h"

#define KERNEL_HALF 256u /* entries of a root from here on map the kernel's addresses */

static inline bool entry_is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || ((entry & PTE_PS) && level <= LEAF_LEVELS);
}

/* The address that a leaf maps, without the PAT bit of large ones. */
static inline uint64_t entry_leaf_gpa(uint64_t entry, unsigned level)
{
	return entry & PTE_ADDR & -(1ull << pte_shift(level));
}

/* The first address that entry `index` of a root translates, or of a table that begins at `va`. */
static inline uint64_t entry_va(uint64_t va, unsigned index, unsigned level)
{
	return va + ((uint64_t)index << pte_shift(level));
}

#endif

/* SPDX-License-Identifier: MIT */
/* Entries of x86-64 page tables, as far as roots and windows are found by them. The tracker has its
 * own reading of them, and is the one that judges. */
#ifndef AUDIT_ENTRY_H
#define AUDIT_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_P    (1ull << 0)
#define ENTRY_RW   (1ull << 1)
#define ENTRY_US   (1ull << 2)
#define ENTRY_PS   (1ull << 7)
#define ENTRY_NX   (1ull << 63)
#define ENTRY_ADDR UINT64_C(0x000ffffffffff000)

#define KERNEL_HALF 256u /* entries of a root from here on map the kernel's addresses */

/* Bits of a virtual address below those that an entry of this level translates. */
static inline unsigned entry_shift(unsigned level)
{
	return 12 + 9 * (level - 1);
}

static inline bool entry_is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || ((entry & ENTRY_PS) && level <= 3);
}

/* The address that a leaf maps, without the PAT bit of large ones. */
static inline uint64_t entry_leaf_gpa(uint64_t entry, unsigned level)
{
	return entry & ENTRY_ADDR & -(1ull << entry_shift(level));
}

/* The first address that entry `index` of a root translates, or of a table that begins at `va`. */
static inline uint64_t entry_va(uint64_t va, unsigned index, unsigned level)
{
	return va + ((uint64_t)index << entry_shift(level));
}

/* With 4 or 5 levels: the upper half of addresses is at the very top. */
static inline uint64_t canonical(uint64_t va, unsigned levels)
{
	unsigned unused = 64 - entry_shift(levels + 1);

	return (uint64_t)((int64_t)(va << unused) >> unused);
}

#endif

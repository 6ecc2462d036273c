/* SPDX-License-Identifier: MIT */
/*
 * Entries of x86-64 page tables with four or five levels. Intel SDM vol. 3A, 4.5 "4-level paging
 * and 5-level paging", table 4-14 and those after it; MAXPHYADDR is taken as 52, its maximum, so
 * that no address bit is reserved.
 */
#ifndef PTE_H
#define PTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PTE_P   (1ull << 0)
#define PTE_RW  (1ull << 1)
#define PTE_US  (1ull << 2)
#define PTE_PWT (1ull << 3)
#define PTE_PCD (1ull << 4)
#define PTE_A   (1ull << 5)
#define PTE_D   (1ull << 6)
#define PTE_PS  (1ull << 7) /* L2, L3: a large leaf; L4, L5: reserved; L1: PAT */
#define PTE_NX  (1ull << 63)

#define PTE_ADDR      0x000ffffffffff000ull
#define PTE_LARGE_PAT (1ull << 12) /* of large leaves: no part of the address */

#define PT_ENTRIES    512u
#define PT_LEVELS_MAX 5u
#define LEAF_LEVELS   3u /* L1 to L3 hold leaves */
#define PAGE_SHIFT    12u
#define TYPES         8u /* entries of the PAT */

/* What tells the frames an entry gives access to, and how: all that can change the reverse map. */
#define PTE_MEANING (PTE_P | PTE_RW | PTE_PWT | PTE_PCD | PTE_PS | PTE_ADDR)
/* What the processor itself writes. */
#define PTE_NOISE (PTE_A | PTE_D)

/* Has an entry changed, but for that? */
static inline bool pte_differs(uint64_t was, uint64_t now)
{
	return ((was ^ now) & ~PTE_NOISE) != 0;
}

enum pte_kind {
	PTE_NONE,  /* not present: whatever else it holds means nothing */
	PTE_LEAF,  /* maps memory */
	PTE_TABLE, /* points to a table one level below */
	PTE_BAD,   /* reserved bits are set: the processor faults */
};

/* Bits of a virtual address that an entry of this level leaves open: 12, 21, 30, 39, 48. */
static inline unsigned pte_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static inline enum pte_kind pte_kind(uint64_t pte, unsigned level)
{
	if (!(pte & PTE_P))
		return PTE_NONE;
	if (level == 1)
		return PTE_LEAF;
	if (!(pte & PTE_PS))
		return PTE_TABLE;
	if (level > LEAF_LEVELS)
		return PTE_BAD;
	uint64_t below = (1ull << pte_shift(level)) - 1;

	return (pte & PTE_ADDR & ~PTE_LARGE_PAT & below) ? PTE_BAD : PTE_LEAF;
}

/* The frame an entry points to; of a large leaf the first of those it spans. */
static inline uint64_t pte_pfn(uint64_t pte, unsigned level, enum pte_kind kind)
{
	uint64_t address = pte & PTE_ADDR;

	if (kind == PTE_LEAF && level > 1)
		address &= ~PTE_LARGE_PAT;
	return address >> PAGE_SHIFT;
}

/* The memory type of a leaf: an index into the PAT, 0..7 (Intel SDM vol. 3A, 12.12.3). */
static inline unsigned pte_type(uint64_t pte, unsigned level)
{
	bool pat = pte & (level == 1 ? PTE_PS : PTE_LARGE_PAT);

	return pat << 2 | !!(pte & PTE_PCD) << 1 | !!(pte & PTE_PWT);
}

/* With so many levels the virtual address is sign-extended from bit 47, or 56. */
static inline uint64_t va_canonical(uint64_t va, unsigned levels)
{
	unsigned unused = 64 - pte_shift(levels + 1);

	return (uint64_t)((int64_t)(va << unused) >> unused);
}

/* Loads one entry that its owner may change at any time: once, whole, in no particular order. */
static inline uint64_t pte_load(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

#endif

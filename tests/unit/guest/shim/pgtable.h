/* SPDX-License-Identifier: MIT */
/* guest/include/pgtable.h, but that a frame is where its number says in the memory of the test. */
#define pfn_to_virt pfn_to_virt_in_guest
#include_next <pgtable.h>
#undef pfn_to_virt

#ifndef SHIM_PGTABLE_H
#define SHIM_PGTABLE_H

static inline void *pfn_to_virt(uint64_t pfn)
{
	return (void *)(pfn << PAGE_SHIFT);
}

#endif

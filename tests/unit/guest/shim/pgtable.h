/* SPDX-License-Identifier: MIT */
/* guest/include/pgtable.h, but that the direct map is an array of the test. */
#define pfn_to_virt pfn_to_virt_in_guest
#include_next <pgtable.h>
#undef pfn_to_virt

#ifndef SHIM_PGTABLE_H
#define SHIM_PGTABLE_H

extern uint8_t *fake_memory;

static inline void *pfn_to_virt(uint64_t pfn)
{
	return fake_memory + (pfn << PAGE_SHIFT);
}

#endif

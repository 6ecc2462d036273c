/* SPDX-License-Identifier: MIT */
/* guest/include/pgtable.h, but that guest memory is an array of the test. */
#define phys_to_virt phys_to_virt_in_guest
#include_next <pgtable.h>
#undef phys_to_virt

#ifndef SHIM_PGTABLE_H
#define SHIM_PGTABLE_H

extern uint8_t guest_memory[];

static inline void *phys_to_virt(uint64_t gpa)
{
	return guest_memory + gpa;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the vmap allocator stands on in the guest, made of host memory: CPUs that are a number, page
 * tables that are an array, and a TLB that remembers every translation until it is flushed.
 */
#ifndef TESTS_GUEST_FAKE_MMU_H
#define TESTS_GUEST_FAKE_MMU_H

#include <stdbool.h>
#include <stdint.h>
#include "pgtable.h"

enum {
	FAKE_PAGES = 4096, /* of address space, from VMALLOC_START */
	FAKE_CPUS = 4,
	FAKE_PFNS = 4096, /* frames of memory; the allocator has all but the first */
};

struct fake_mmu {
	unsigned cpu; /* on which the test is */
	uint64_t flushes;
	uint64_t cleared, flushed; /* the clock */
	unsigned tables;           /* made so far */
	unsigned tables_max;       /* then walk_kernel() fails */
};

extern struct fake_mmu fake_mmu;

/* A machine as it was before the test, but for the frames that are allocated: each test has a
 * process of its own. */
void fake_reset(void);

static inline uint64_t fake_va(unsigned page)
{
	return VMALLOC_START + page * PAGE_SIZE;
}

/* The PTE of a page, 0 if none. */
pte_t fake_pte(unsigned page);
/* What the TLB of some CPU may hold for the page, 0 if nothing. It is filled from the PTEs. */
pte_t fake_tlb(unsigned page);
void fake_fill_tlb(void);

struct alias_guest_stats;
/* Sum over all CPUs of the counter at this offset. */
uint64_t fake_stat(size_t offset);
#define FAKE_STAT(field) fake_stat(offsetof(struct alias_guest_stats, field))

#endif

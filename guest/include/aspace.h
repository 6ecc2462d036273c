/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: a root with the kernel's half, and tables and pages of its own in the user's
 * half. An address space is used by one CPU only, the one that created it.
 */
#ifndef ASPACE_H
#define ASPACE_H

#include <stdint.h>

#define USER_END 0x0000800000000000ul

/* Owned by its creator; there is no lock. */
struct aspace {
	uint64_t root_pfn;
	unsigned nr_pages; /* mapped in the user's half */
};

struct aspace_range {
	uint64_t va; /* page-aligned, below USER_END */
	unsigned nr_pages;
};

/* Creates an address space. The ranges, which must not overlap, are mapped to new pages of
 * undefined content. The tables are pinned as one batch, bottom up. Returns 0, or -1 if memory is
 * short or the host refused a pin; then everything is undone, or its frames are never used again,
 * if the host refuses even to unpin a table. */
int aspace_create(struct aspace *as, const struct aspace_range *ranges, unsigned nr_ranges);

/* Maps one more page at `va`, where no page is mapped. Each missing table is pinned, and then
 * linked into the live tree. Returns 0 or -1 as above, but on failure the tables linked so far
 * stay. */
int aspace_grow(struct aspace *as, uint64_t va);

/* Makes this CPU run in the address space, or again in the kernel's own. */
void aspace_enter(const struct aspace *as);
void aspace_leave(void);

/* Unpins the tables, the root first, and frees all frames. Not while this CPU runs in the address
 * space. Returns 0, or -1 if the host refused to unpin a table; then no frame is freed. */
int aspace_destroy(struct aspace *as);

/* Returns the frame that `va` is mapped to, or NO_FRAME. */
uint64_t aspace_frame(const struct aspace *as, uint64_t va);

#endif

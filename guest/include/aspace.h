/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: a root with the kernel's half, and in the user's half tables and pages of their
 * own. An address space runs on one CPU only, the one that made it.
 */
#ifndef ASPACE_H
#define ASPACE_H

#include <stdint.h>

#define USER_END 0x0000800000000000ul

/* Owned by whoever made it; no lock. */
struct aspace {
	uint64_t root_pfn;
	unsigned nr_pages; /* mapped in the user's half */
};

struct aspace_range {
	uint64_t va; /* page-aligned, below USER_END */
	unsigned nr_pages;
};

/* Builds the tree that maps the ranges, which don't overlap, to new pages (of whatever content) and
 * pins it as one batch, bottom up. Returns 0, or -1 when memory is short or the host refused: then
 * nothing is left. */
int aspace_create(struct aspace *as, const struct aspace_range *ranges, unsigned nr_ranges);

/* Maps one more page at va, where none is mapped. Tables that are missing are pinned one by one
 * and linked into the tree while it lives. Returns 0 or -1; what was linked stays. */
int aspace_grow(struct aspace *as, uint64_t va);

/* This CPU goes to the address space, or back to the kernel's own root. */
void aspace_enter(const struct aspace *as);
void aspace_leave(void);

/* Not while in it. Unpins the tables, the root first, and frees all frames. Returns 0, or -1 if
 * the host refused to unpin. */
int aspace_destroy(struct aspace *as);

/* The frame that va is mapped to; NO_FRAME if none. */
uint64_t aspace_frame(const struct aspace *as, uint64_t va);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The physical memory of a guest, from a core, a running QEMU, or our own vmm. It is read by a
 * callback; page tables are kept as copies, so that a look sees each of them once, and none can
 * change or go away in the middle of it. Addresses and sizes are in bytes unless they are named pfn
 * or frames.
 *
 * A physmem belongs to one thread.
 */
#ifndef AUDIT_PHYSMEM_H
#define AUDIT_PHYSMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "map.h"

#define FRAME_SIZE  4096u
#define FRAME_SHIFT 12u
#define ENTRIES     512u /* of a table */

#define PHYSMEM_RANGES_MAX (4u << 20)

/* The guest has memory here. */
struct physmem_range {
	uint64_t gpa, size;
	uint64_t before; /* bytes of all ranges below */
};

struct physmem_ops {
	/* Reads up to `size` bytes at `gpa`, all within one range. Returns how many were read; 0 if
	 * the first of them cannot be read. */
	size_t (*read)(void *source, uint64_t gpa, void *to, size_t size);
	/* Returns the first address from `gpa` on, and before `*end`, where memory may hold
	 * something else than zeros, or `*end`; all within one range. May lower `*end` to where
	 * that ends. NULL: everywhere. */
	uint64_t (*next_data)(void *source, uint64_t gpa, uint64_t *end);
	/* Returns a frame of a range in place, where it stays as long as the physmem; what is in it
	 * may change at any time. NULL: frames can only be read. */
	const uint64_t *(*frame)(void *source, uint64_t pfn);
};

struct physmem {
	const struct physmem_ops *ops;
	void *source;

	struct physmem_range *ranges; /* ascending, in whole frames, none touches another */
	size_t nr_ranges;
	uint64_t frames; /* one more than the highest pfn */
	uint64_t size;   /* the sum of all ranges */

	/* Since physmem_refresh(): how many frames of ranges could not be read, and counted as
	 * zeros; and the pfns that a scan has read. */
	uint64_t unreadable;
	uint64_t scanned, scanned_end;
	/* Since physmem_refresh(): a table was not copied as the host is out of memory. */
	bool exhausted;
	struct map copies; /* pfn -> its copy */
};

/* `source` and `ops` must outlive the physmem. */
void physmem_init(struct physmem *mem, const struct physmem_ops *ops, void *source);
void physmem_free(struct physmem *mem);

/* Adds a range, above all that were added; it is cut to whole frames. Returns 0, -ENOMEM,
 * -EINVAL: it is not above them, -ERANGE: it ends beyond 2^47, or -E2BIG: there are too many. */
int physmem_add(struct physmem *mem, uint64_t gpa, uint64_t size);

bool physmem_has(const struct physmem *mem, uint64_t pfn);
/* How many frames of memory are among [pfn, pfn + nr). */
uint64_t physmem_count(const struct physmem *mem, uint64_t pfn, uint64_t nr);

/* Returns the 512 entries of a frame, as they were when they were asked for first, or NULL if there
 * is no memory (and when out of memory, see `exhausted`). Zeros if it cannot be read. Valid until
 * physmem_refresh(). */
const uint64_t *physmem_table(struct physmem *mem, uint64_t pfn);
/* The same, but in place if it can be: without a copy, and it may change. */
const uint64_t *physmem_frame(struct physmem *mem, uint64_t pfn);
/* Forgets all copies: from now on tables are read anew. */
void physmem_refresh(struct physmem *mem);

/* Calls `visit` for each frame of memory of the pfns [from, to) that may hold something else than
 * zeros, in ascending order, until it returns false. The entries are valid during the call, and not
 * kept as a copy; in place they may change. Once after each physmem_refresh(). Returns 0, or
 * -ENOMEM.
 */
typedef bool physmem_visit(void *ctx, uint64_t pfn, const uint64_t *entries);
int physmem_scan(struct physmem *mem, uint64_t from, uint64_t to, physmem_visit *visit, void *ctx);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Which page tables are roots, with no help from the guest. All address spaces of a kernel share
 * its half of the addresses: so a frame is taken for a root if the upper 256 entries in it link the
 * same tables as those of a root that a processor has in CR3. That knows nothing of any kernel but
 * this habit. A kernel that isolates its page tables (PTI) has two roots a process, in neighbouring
 * frames, of which either may be in CR3; the two have different upper halves, and both are looked
 * for.
 */
#ifndef AUDIT_ROOTS_H
#define AUDIT_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "notes.h"
#include "physmem.h"

/* What is known of a vCPU. */
struct cpu_state {
	uint64_t cr0, cr3, cr4;
	uint64_t efer;
	bool knows_efer; /* else only the tables tell whether it is in long mode */
};

enum root_kind {
	ROOT_CR3,    /* a vCPU has it in CR3 */
	ROOT_PAIR,   /* the other half of such a root, with PTI */
	ROOT_GIVEN,  /* the user or the core names it */
	ROOT_SHARED, /* its upper half is that of one of the above */
};

struct root {
	uint64_t pfn;
	enum root_kind kind;
	/* It maps low addresses for the kernel alone: the code that starts processors, EFI's and
	 * the like have such roots. They map memory as a whole once more. */
	bool maps_low;
};

#define ROOTS_MAX        32768u /* frames that look like roots may be forged */
#define ROOTS_MAX_HALVES 8u     /* different upper halves */

/* The upper half of a root: which entries are present, and what they link. */
struct root_half {
	uint64_t entries[ENTRIES / 2];
	uint64_t whole[ENTRIES / 2];  /* with all flags, which most that share it have, too */
	uint64_t tables[ENTRIES / 2]; /* what those that are present link */
	unsigned present;             /* how many */
	unsigned probe;               /* where there is one, which is compared first */
	uint64_t probed;
};

struct roots {
	unsigned levels; /* 4 or 5; 0: no root is known */
	struct root *root;
	size_t nr;
	bool overflow; /* there are more than ROOTS_MAX */
	struct root_half half[ROOTS_MAX_HALVES];
	unsigned nr_halves;
	uint64_t kernel_root; /* pfn of the root whose upper half has most entries */
	bool isolated;        /* there are two kinds of upper halves: PTI */
};

void roots_free(struct roots *roots);

/* Empties the list, and takes the roots that the vCPUs have. What is not a root, or in a mode that
 * is not read, is noted. Returns 0, or -ENOMEM. */
int roots_from_cpus(struct roots *roots, struct physmem *mem, const struct cpu_state *cpus,
		    size_t nr, struct notes *notes);
/* Adds a root by its address, as a root of so many levels; likewise. */
int roots_add_given(struct roots *roots, struct physmem *mem, uint64_t gpa, unsigned levels,
		    struct notes *notes);
/* Adds the frames among [from, to) that share an upper half with one of those. Returns 0, or
 * -ENOMEM. */
int roots_scan(struct roots *roots, struct physmem *mem, uint64_t from, uint64_t to,
	       struct notes *notes);
/* Adds those of the earlier roots that are not among [from, to), and still share such a half. */
int roots_keep(struct roots *roots, struct physmem *mem, const struct roots *earlier, uint64_t from,
	       uint64_t to);
/* Are the upper halves that are looked for the same? */
bool roots_look_alike(const struct roots *a, const struct roots *b);

#endif

/* SPDX-License-Identifier: MIT */
/* What a look has found. The look fills this in; the reports are made of it alone. */
#ifndef AUDIT_FINDINGS_H
#define AUDIT_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "notes.h"
#include "roots.h"
#include "windows.h"

enum finding_kind {
	/* A page table has a writable mapping outside the direct map. */
	FINDING_TABLE,
	/* A frame is executable by one mapping and writable by another. */
	FINDING_WX,
	/* A frame is mapped with two memory types. */
	FINDING_MEMTYPE,
	FINDING_KINDS,
};

/* One way by which a frame is mapped. */
struct mapping {
	uint64_t va;
	uint64_t pte_gpa, pte; /* the leaf, and what it holds */
	uint8_t level;         /* of the leaf's table: 1, 2 (2 MiB) or 3 (1 GiB) */
	bool user, exec;       /* over the whole path */
	bool writable;         /* the same for a table; else what the leaf says */
	uint8_t memtype;       /* index into the PAT */
	enum place place;
};

#define FINDING_MAPPINGS 2u

struct finding {
	enum finding_kind kind;
	uint64_t pfn;
	uint64_t frames; /* so many in a row, by the same large leaves; of a table 1 */
	uint8_t levels;  /* a table: a bit for each level at which it is walked, 1 << level */
	/* A table: its writable mappings, of which `at` has the first. Else the frame is
	 * executable by the first mapping and writable by the second, and by the others that are
	 * counted, or has the memory type of the first and that of the second. */
	uint64_t nr;
	unsigned nr_at; /* of `at`, that are filled in */
	struct mapping at[FINDING_MAPPINGS];
};

#define LEVELS_MAX 5u

/* A root that maps low addresses for the kernel alone, as that by which processors are started. Its
 * tree is not followed: its mappings are told here. */
struct low_map {
	uint64_t pfn;    /* of the root */
	uint64_t frames; /* that it maps there writable */
	uint64_t tables; /* of them, page tables of others */
	bool identity;   /* each at its own physical address */
};

#define LOW_MAPS_MAX 8u

/* Zeros are an empty one. */
struct findings {
	struct finding *all; /* by kind, then pfn, after findings_sort() */
	size_t nr;
	size_t of_kind[FINDING_KINDS];
	uint64_t frames[FINDING_KINDS]; /* the sums of theirs */

	/* What was looked at. */
	char source[256]; /* "core FILE (elf)" */
	size_t cpus;
	uint64_t memory; /* bytes */
	unsigned levels;
	size_t roots[ROOT_SHARED + 1]; /* by kind */
	bool isolated;                 /* page tables are (PTI) */
	size_t nr_low; /* roots that map low addresses; the first of them are in `low` */
	struct low_map low[LOW_MAPS_MAX];
	uint64_t tables;                 /* frames */
	uint64_t walked[LEVELS_MAX + 1]; /* of them, at each level; one may be at several */
	uint64_t executable;             /* frames of memory that some mapping makes executable */
	struct windows windows;
	double look_ms,
		paused_ms; /* how long it took; how long the guest stood still for it, or 0 */
	uint64_t tracker_bytes;
	struct notes notes;
};

/* Frees and empties all but `source`. */
void findings_clear(struct findings *findings);
/* Adds a copy of it. Returns 0, or -ENOMEM. */
int findings_add(struct findings *findings, const struct finding *finding);
/* Brings them into their order. */
void findings_sort(struct findings *findings);
/* "table", "wx", "memtype". */
const char *finding_kind_word(enum finding_kind kind);
/* For qsort(): brings those together that are alike but for the frame and the addresses, and
 * returns 0 for two of these. */
int finding_compare_alike(const struct finding *a, const struct finding *b);

#endif

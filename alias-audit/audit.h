/* SPDX-License-Identifier: MIT */
/*
 * A look at a guest: finds its roots and windows, has the tracker follow them, and asks it about
 * every page table and every frame. Looks that come one after the other share a tracker, which then
 * compares tables with what they were.
 *
 * The guest's memory must not change while a look reads it, or else what is found may never have
 * been true at one time; nothing worse happens.
 */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "findings.h"
#include "physmem.h"
#include "roots.h"

struct audit;

/* A root that is known beforehand. */
struct given_root {
	uint64_t gpa;
	unsigned levels;
};

/* What a look is told. */
struct look {
	const struct cpu_state *cpus;
	size_t nr_cpus;
	const struct given_root *given;
	size_t nr_given;
	/* A look soon after another: those roots that are in no CR3, and that the look before has
	 * not found, are looked for in so many frames only, each time in the next ones; where the
	 * windows are, and what roots that map low addresses map, is not asked again. 0: all of it.
	 * It is a whole look all the same if the kernel's half is another one than before. */
	uint64_t roll;
	/* Called once, as soon as no more of the guest's memory will be read: it may run from then
	 * on. NULL: nothing is. */
	void (*has_read)(void *ctx);
	void *ctx;
};

/* `mem` must outlive it. Returns NULL when out of memory. */
struct audit *audit_new(struct physmem *mem);
void audit_free(struct audit *audit);

/* Looks, and fills in all of *findings but `source` and the times. Without a root there are no
 * tables, and the notes say why. Returns 0, or -ENOMEM. */
int audit_look(struct audit *audit, const struct look *look, struct findings *findings);

/* By the last look: the page tables, by frame, with an index from 0 on; and whether some mapping
 * makes a frame executable. */
size_t audit_nr_tables(const struct audit *audit);
uint64_t audit_table(const struct audit *audit, size_t index);
bool audit_is_executable(const struct audit *audit, uint64_t pfn);

#endif

/* SPDX-License-Identifier: MIT */
/* What QEMU's human monitor prints, read: the tree of memory (`info mtree -f`), and the registers
 * (`info registers -a`). Text of a peer: what makes no sense is passed over. */
#ifndef AUDIT_MTREE_H
#define AUDIT_MTREE_H

#include <stddef.h>
#include <stdint.h>
#include "roots.h"

#define MTREE_NAME_MAX  64u
#define MTREE_MAX       4096u
#define MONITOR_MAX_CPU 4096u

/* The guest sees [offset, offset + size) of a memory region at gpa. */
struct mtree_range {
	uint64_t gpa, size, offset;
	char region[MTREE_NAME_MAX];
};

/* Fills in the ranges of RAM and ROM of the system's address space. Returns how many, at most
 * `max`. */
size_t mtree_parse(const char *text, struct mtree_range *ranges, size_t max);
/* Fills in the vCPUs of which CR0, CR3 and CR4 are there. Returns how many, at most `max`. */
size_t registers_parse(const char *text, struct cpu_state *cpus, size_t max);

#endif

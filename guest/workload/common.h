/* SPDX-License-Identifier: MIT */
/* Helpers for workloads. */
#ifndef WORKLOAD_COMMON_H
#define WORKLOAD_COMMON_H

#include <stdbool.h>
#include <stdint.h>
#include <alias_abi.h>

/* The sum of all CPUs' counters; exact while the other CPUs are idle. */
struct alias_guest_stats total_stats(void);
/* Prints a table of them. */
void print_totals(const char *title);

/* Allocates `n` frames. On failure allocates none and returns false. */
bool take_frames(uint64_t *pfns, unsigned n);
/* Frees them, the last one first, so that the first is the next to be allocated. */
void give_frames(const uint64_t *pfns, unsigned n);

#endif

/* SPDX-License-Identifier: MIT */
/* What workloads share. */
#ifndef WORKLOAD_COMMON_H
#define WORKLOAD_COMMON_H

#include <stdbool.h>
#include <stdint.h>
#include <alias_abi.h>

/* The sum of what all CPUs have counted; exact while the others are idle. */
struct alias_guest_stats total_stats(void);
/* A table of them. */
void print_totals(const char *title);

/* Takes `n` frames; on failure frees what it got and returns false. */
bool take_frames(uint64_t *pfns, unsigned n);
/* Frees them, the last first: the first is the next to be taken again. */
void give_frames(const uint64_t *pfns, unsigned n);

#endif

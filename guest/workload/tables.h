/* SPDX-License-Identifier: MIT */
/*
 * alias=PERCENT: that many of each hundred page tables that a CPU allocates have a stale alias; the
 * seed decides which. Each CPU has two lists of frames that are used for nothing else. Those of the
 * one are never vmapped. Those of the other are vmapped, touched and unmapped each time right
 * before they are allocated.
 */
#ifndef WORKLOAD_TABLES_H
#define WORKLOAD_TABLES_H

#include <stdint.h>

/* Before the workload, with the other CPUs idle. Without alias= it does nothing. */
void tables_init(uint64_t seed);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * alias=PERCENT: so many of each hundred frames that become page tables on a CPU have a stale alias
 * when they are taken; the seed decides which. Each CPU has two lists of frames that nobody else
 * uses. Those of the one are never vmapped. Those of the other are vmapped, touched and unmapped
 * right before they are taken, each time.
 */
#ifndef WORKLOAD_TABLES_H
#define WORKLOAD_TABLES_H

#include <stdint.h>

/* Before the workload, with the other CPUs idle. Without alias= tables are taken as they come. */
void tables_init(uint64_t seed);

#endif

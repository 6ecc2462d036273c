/* SPDX-License-Identifier: MIT */
/*
 * Memory types, as Linux's set_memory_uc(), _wc(), _wt() and _wb() change them: in the direct map,
 * which every frame keeps its place in. No other mapping of the frame by its old type may be left;
 * stale ones are purged the way the strategy does it, before the host agrees (alias_abi.h).
 */
#ifndef SET_MEMORY_H
#define SET_MEMORY_H

#include <stdint.h>

/* Indices into the PAT as pat_init_cpu() fills it; elsewhere than there a mapping of such memory
 * has pte_of_type() of it. */
enum memory_type {
	MEMORY_WB = 0, /* what all memory is at first */
	MEMORY_WC = 1,
	MEMORY_UC = 3, /* what devices are */
	MEMORY_WT = 7,
};

/* Each CPU, before it maps anything but by types WB and UC. */
void pat_init_cpu(void);

/* The frames, which are all of one type and are the caller's, become memory of `type`. Returns 0,
 * or -1, and nothing has changed: memory is short, or the host has refused (says so). What they
 * hold stays. No other CPU changes these frames meanwhile. Like a pin (pin.h). */
int set_memory_type(const uint64_t *pfns, unsigned n, enum memory_type type);

#endif

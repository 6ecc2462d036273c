/* SPDX-License-Identifier: MIT */
/*
 * Memory types, as Linux's set_memory_uc(), _wc(), _wt() and _wb() change them. The type changes in
 * the direct map, which goes on mapping the frame. The host refuses the change while any other
 * mapping of the frame has the old type; the strategy has stale mappings purged before
 * (alias_abi.h).
 */
#ifndef SET_MEMORY_H
#define SET_MEMORY_H

#include <stdint.h>

/* Indices into the PAT as pat_init_cpu() sets it. Other mappings of a frame than the direct map
 * must have pte_of_memtype() of its type. */
enum memory_type {
	MEMORY_WB = 0, /* the type of all memory at first */
	MEMORY_WC = 1,
	MEMORY_UC = 3, /* the type of devices */
	MEMORY_WT = 7,
};

/* Sets this CPU's PAT. On each CPU, before it maps anything of a type other than WB and UC. */
void pat_init_cpu(void);

/* Changes the type of these frames, which belong to the caller and all have the same type. Their
 * content stays. Returns 0, or -1 if memory is short or the host refused (after a message): then
 * nothing has changed. No other CPU may change these frames meanwhile. The rules of a pin apply
 * (pin.h). */
int set_memory_type(const uint64_t *pfns, unsigned n, enum memory_type type);

#endif

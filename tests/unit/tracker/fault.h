/* SPDX-License-Identifier: MIT */
/* Allocations of the library that fail on demand: its objects are linked with --wrap of malloc,
 * calloc, realloc and free, those of the tests and of Check are not. */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* The nth allocation from now on fails, and all after it if `for_good`; 0: none does. */
void fault_set(unsigned nth, bool for_good);
/* Has an allocation failed since? */
bool fault_fired(void);
/* Allocations not freed yet. */
size_t fault_live(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The log of changes to page tables, kept while the host wants one (alias_abi.h). Every change of
 * an entry that the host may track is made by these functions: of the kernel's tables once they are
 * pinned, and of an address space's tables from its pin to its unpin.
 *
 * The caller owns the entry: no two CPUs change the same entry at a time, except by replace_pte().
 * The caller holds the strategy lock for reading, since the log begins and ends with that lock held
 * for writing. Not from interrupt handlers.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <pgtable.h>

/* Sets the entry, and logs the change. */
void change_pte(pte_t *pte, pte_t value);
/* Sets the entry if it is `old`, atomically, and logs the change. Returns the entry's value
 * afterwards. */
pte_t replace_pte(pte_t *pte, pte_t old, pte_t value);

/* Begins a log if the host wants one. At boot, before the first pin, on the boot CPU alone. */
void log_init(void);
/* Begins or ends the log if the host has asked for it, and this CPU does not hold the strategy
 * lock. */
void log_poll(void);

#endif

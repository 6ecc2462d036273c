/* SPDX-License-Identifier: MIT */
/*
 * The log of changes to page tables, kept for the host while it wants one (alias_abi.h). Every
 * change of an entry that the host may follow goes through here: of the kernel's tables once they
 * are pinned, and of an address space's from its pin to its unpin.
 *
 * The caller owns the entry: no two CPUs change the same one at a time (but for replace_pte()). Not
 * from interrupt handlers. Between strategy_read_lock() and strategy_read_unlock(), as the log
 * begins and ends while no CPU is there.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <pgtable.h>

/* set_pte(). */
void change_pte(pte_t *pte, pte_t value);
/* The same, if the entry is still `old`. Returns what is there then. */
pte_t replace_pte(pte_t *pte, pte_t old, pte_t value);

/* Boot, before the first pin, by the boot CPU alone: keeps a log if one is wanted. */
void log_init(void);
/* Begins or ends the log if the host has asked for it, and this CPU may. */
void log_poll(void);

#endif

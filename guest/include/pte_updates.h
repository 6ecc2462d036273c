/* SPDX-License-Identifier: MIT */
/*
 * Batches of changes to page table entries. If the host write-protects pinned tables, each store to
 * one exits to the host; a batch of changes is one exit. Otherwise all changes are plain stores,
 * made at once.
 */
#ifndef PTE_UPDATES_H
#define PTE_UPDATES_H

#include <stdbool.h>
#include <alias_abi.h>
#include <pgtable.h>

struct pte_updates {
	unsigned nr;                  /* not yet made */
	unsigned refused;             /* refused by the host so far, and so not made */
	struct alias_update *updates; /* NULL: no batch; all changes are plain stores */
};

/* Begins a batch; pte_updates_finish() ends it on the same CPU. The upcall's handler may begin and
 * end its own in between. */
void pte_updates_init(struct pte_updates *updates);
/* Changes an entry of a pinned table of the kernel's to `value`: at the latest in
 * pte_updates_finish(). Until then the entry must not be changed otherwise. */
void pte_updates_add(struct pte_updates *updates, pte_t *pte, pte_t value);
/* Makes all changes. Returns how many of the batch the host refused. */
unsigned pte_updates_finish(struct pte_updates *updates);

/* The host write-protects tables, from now on. Called by pin_init(), while the other CPUs are
 * idle. */
void pte_updates_begin(void);
/* While `hold` is set: plain stores only. For the handler of an upcall that was raised by a store
 * or an update, since the host still has to go on with the updates in this CPU's page. */
void pte_updates_hold(bool hold);
/* Does the host write-protect pinned tables? Then a store to one can be refused (#GP), and can
 * raise an upcall. */
bool tables_are_write_protected(void);

#endif

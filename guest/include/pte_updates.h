/* SPDX-License-Identifier: MIT */
/*
 * Entries of page tables that are written together. Where the host guards pinned tables each store
 * to one costs a way to the host and back, and so do all that are put together here; elsewhere they
 * are plain stores, done at once.
 */
#ifndef PTE_UPDATES_H
#define PTE_UPDATES_H

#include <stdbool.h>
#include <alias_abi.h>
#include <pgtable.h>

struct pte_updates {
	unsigned nr;                  /* that wait */
	unsigned refused;             /* by the host, so far: they are not done */
	struct alias_update *updates; /* NULL: none waits, all are plain stores */
};

/* Each is followed by its pte_updates_finish() on the same CPU; those of an upcall's handler come
 * in between. */
void pte_updates_init(struct pte_updates *updates);
/* The entry, of a pinned table of the kernel's, gets the value at the latest by
 * pte_updates_finish(). Until then it must not be written otherwise. */
void pte_updates_add(struct pte_updates *updates, pte_t *pte, pte_t value);
/* Returns how many of all were refused. `updates` is of no use any more. */
unsigned pte_updates_finish(struct pte_updates *updates);

/* By pin_init(), while the other CPUs are idle: the host guards tables. */
void pte_updates_begin(void);
/* While the handler of an upcall that came of a store, or of updates, is at work: plain stores
 * only, as the updates in this CPU's page are still to be gone on with. */
void pte_updates_hold(bool hold);
/* A store to a pinned table can be refused (#GP), and may be answered by an alias fault. */
bool tables_are_guarded(void);

#endif

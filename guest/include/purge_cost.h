/* SPDX-License-Identifier: MIT */
/*
 * Decides between two ways to deal with stale aliases: take an upcall when the host meets one, or
 * purge everything before the pin. Which is cheaper depends on how many pins meet an alias, on the
 * cost of an upcall (exits, and the host's sync), and on the cost of a purge (little on one CPU, a
 * shootdown on several). guest/flush/purge_cost.c measures both in TSC ticks, over the pins of all
 * CPUs.
 *
 * For strategies with upcalls. Called by the CPU that pins, with the strategy lock held for
 * reading.
 */
#ifndef PURGE_COST_H
#define PURGE_COST_H

#include <stdbool.h>
#include <stdint.h>

/* Before a pin: purges everything if that has been cheaper than the upcalls. */
void purge_ahead(void);
/* In an upcall: notes its cost beyond that of a pin without one. `ticks` as in on_alias() of
 * flush.h. */
void purge_cost_upcall(uint64_t ticks);
/* Would purging everything now cost no more than the upcalls since the last such purge did? */
bool purge_cost_all_pays(void);
/* vm_unmap_aliases(), and notes its cost. Returns how many PTEs it cleared. */
uint64_t purge_cost_all(void);

/* Forgets all costs. While no other CPU uses the functions above. */
void purge_cost_reset(void);

#endif

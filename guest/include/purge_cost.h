/* SPDX-License-Identifier: MIT */
/*
 * What is cheaper: to be trapped back where the host meets an alias, or to purge ahead of it? That
 * depends on how many pins meet one, on what an upcall costs (exits, and what the host looks at)
 * and on what a purge costs (nothing much on one CPU, a shootdown on many). So account is kept of
 * all CPUs' pins, in TSC ticks, and acted on (guest/flush/purge_cost.c).
 *
 * For strategies that are trapped back; all within strategy_read_lock() and strategy_read_unlock(),
 * and by the CPU that pins.
 */
#ifndef PURGE_COST_H
#define PURGE_COST_H

#include <stdbool.h>
#include <stdint.h>

/* Before a pin: purges everything where that has turned out to be cheaper than the upcalls. */
void purge_ahead(void);
/* In an upcall, that has taken `ticks` to get here: what it costs more than a pin without one. */
void purge_cost_upcall(uint64_t ticks);
/* Would it cost no more to purge everything now than the upcalls have since that was last done? */
bool purge_cost_all_pays(void);
/* vm_unmap_aliases(), with its cost noted. Returns how many PTEs it cleared. */
uint64_t purge_cost_all(void);

/* Forgets all; nobody else uses the above meanwhile. */
void purge_cost_reset(void);

#endif

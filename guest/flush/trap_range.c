/* SPDX-License-Identifier: MIT */
/*
 * The host checks at each pin, and an upcall purges only the areas that the host named. The aliases
 * that are left cost upcalls later. When these have cost as much as a purge of everything,
 * everything is purged; with many CPUs, whose flushes are expensive, that is soon.
 */
#include "flush.h"
#include "purge_cost.h"
#include "vmap.h"

static void trap_range_before_pin(const struct pin_req *reqs, unsigned n)
{
	(void)reqs, (void)n;
	purge_ahead();
}

static uint64_t trap_range_on_alias(const struct alias_fault *fault, uint64_t ticks)
{
	purge_cost_upcall(ticks);
	if (fault->more || fault->nr > ALIAS_FAULT_VAS || purge_cost_all_pays())
		return purge_cost_all();
	/* If nothing is held lazily at an address, another CPU has purged it meanwhile; if a live
	 * mapping is there, no purge can help. */
	return vm_purge_ranges(fault->va, fault->nr);
}

static int trap_range_start(void)
{
	purge_cost_reset();
	return 0;
}

FLUSH_STRATEGY(trap_range, TRAP_RANGE, "trap-range",
	       "purge only where the host met the stale alias", .before_pin = trap_range_before_pin,
	       .on_alias = trap_range_on_alias, .shoots_by_host = true, .start = trap_range_start);

/* SPDX-License-Identifier: MIT */
/*
 * The host looks, and says where; purge only what holds these addresses. That leaves aliases for
 * later upcalls to meet: when these, and the flush of each, have cost as much as clearing
 * everything does, everything is purged. Where a flush is for many CPUs that is soon.
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
	/* An address where nothing is held lazily any more was purged by another CPU meanwhile; one
	 * that is in use is a live alias. No wider purge would do anything about either. */
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

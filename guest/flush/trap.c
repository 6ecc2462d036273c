/* SPDX-License-Identifier: MIT */
/*
 * The host checks at each pin, and an upcall purges everything if there is a stale alias. While so
 * many pins meet one that purges before them are cheaper, does that instead.
 */
#include "flush.h"
#include "purge_cost.h"

static void trap_before_pin(const struct pin_req *reqs, unsigned n)
{
	(void)reqs, (void)n;
	purge_ahead();
}

static uint64_t trap_on_alias(const struct alias_fault *fault, uint64_t ticks)
{
	(void)fault;
	purge_cost_upcall(ticks);
	return purge_cost_all();
}

static int trap_start(void)
{
	purge_cost_reset();
	return 0;
}

FLUSH_STRATEGY(trap, TRAP, "trap", "purge everything when the host meets a stale alias",
	       .before_pin = trap_before_pin, .on_alias = trap_on_alias, .shoots_by_host = true,
	       .start = trap_start);

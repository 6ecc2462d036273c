/* SPDX-License-Identifier: MIT */
/* The host looks; purge everything when it has met a stale alias, and only then. */
#include "flush.h"
#include "vmap.h"

static uint64_t trap_on_alias(const struct alias_fault *fault)
{
	(void)fault;
	return vm_unmap_aliases();
}

FLUSH_STRATEGY(trap, TRAP, "trap", "purge everything when the host meets a stale alias",
	       .on_alias = trap_on_alias);

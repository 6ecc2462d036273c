/* SPDX-License-Identifier: MIT */
/* The host looks, and says where; purge only what holds these addresses. */
#include "flush.h"
#include "vmap.h"

static uint64_t trap_range_on_alias(const struct alias_fault *fault)
{
	if (fault->more || fault->nr > ALIAS_FAULT_VAS)
		return vm_unmap_aliases();
	/* An address where nothing is held lazily any more was purged by another CPU meanwhile; one
	 * that is in use is a live alias. No wider purge would do anything about either. */
	return vm_purge_ranges(fault->va, fault->nr);
}

FLUSH_STRATEGY(trap_range, TRAP_RANGE, "trap-range",
	       "purge only where the host met the stale alias", .on_alias = trap_range_on_alias);

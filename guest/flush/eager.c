/* SPDX-License-Identifier: MIT */
/* As Linux has done for Xen since 2.6.28: whatever is pinned, purge everything first. */
#include "flush.h"
#include "vmap.h"

static void eager_before_pin(const struct pin_req *reqs, unsigned n)
{
	(void)reqs, (void)n;
	vm_unmap_aliases();
}

FLUSH_STRATEGY(eager, EAGER, "eager", "purge everything before every pin",
	       .before_pin = eager_before_pin);

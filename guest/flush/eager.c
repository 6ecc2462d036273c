/* SPDX-License-Identifier: MIT */
/* As in Linux for Xen since 2.6.28: purges everything before each pin. */
#include "flush.h"
#include "vmap.h"

static void eager_before_pin(const struct pin_req *reqs, unsigned n)
{
	(void)reqs, (void)n;
	vm_unmap_aliases();
}

FLUSH_STRATEGY(eager, EAGER, "eager", "purge everything before every pin",
	       .before_pin = eager_before_pin);

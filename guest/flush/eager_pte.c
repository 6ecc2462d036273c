/* SPDX-License-Identifier: MIT */
/*
 * As Linux does since 2.6.38: an unmap clears its PTEs at once, and leaves only the TLB flush for
 * later. No mapping is left that a guest would have to mend; a TLB that may still hold one is
 * flushed by the host, which reads from the clock in the shared page that it has to.
 */
#include "flush.h"
#include "vmap.h"

FLUSH_STRATEGY(eager_pte, EAGER_PTE, "eager-pte", "clear PTEs at every vunmap, flush lazily",
	       .vmap = {.unmap = vmap_clear}, .host_flushes = true);

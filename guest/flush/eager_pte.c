/* SPDX-License-Identifier: MIT */
/*
 * As in Linux since 2.6.38: an unmap clears its PTEs at once, and only the TLB flush is lazy. So a
 * pin never meets an alias that the guest would have to purge. If a TLB may still hold one, which
 * the clock in the shared page tells, the host flushes it.
 */
#include "flush.h"
#include "vmap.h"

FLUSH_STRATEGY(eager_pte, EAGER_PTE, "eager-pte", "clear PTEs at every vunmap, flush lazily",
	       .vmap = {.unmap = vmap_clear}, .host_flushes = true);

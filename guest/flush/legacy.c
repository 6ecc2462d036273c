/* SPDX-License-Identifier: MIT */
/* As in Linux before 2.6.28: each unmap clears its PTEs and flushes the TLBs before it returns. */
#include "flush.h"
#include "vmap.h"
#include "vmap_purge.h"

/* Frees the area at once, since its PTEs are flushed. */
static void legacy_unmapped(struct vmap_space *space)
{
	vmap_purge_lazy(space, true);
}

FLUSH_STRATEGY(legacy, LEGACY, "legacy", "unmap and flush at every vunmap",
	       .vmap = {.unmap = vmap_clear_and_flush, .unmapped = legacy_unmapped});

/* SPDX-License-Identifier: MIT */
/* As before Linux 2.6.28: every unmap clears its PTEs and flushes them before it returns. */
#include "flush.h"
#include "vmap.h"
#include "vmap_purge.h"

/* The addresses can be used again at once: there is nothing left to purge. */
static void legacy_unmapped(struct vmap_space *space)
{
	vmap_purge_lazy(space, true);
}

FLUSH_STRATEGY(legacy, LEGACY, "legacy", "unmap and flush at every vunmap",
	       .vmap = {.unmap = vmap_clear_and_flush, .unmapped = legacy_unmapped});

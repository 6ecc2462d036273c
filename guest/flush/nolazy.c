/* SPDX-License-Identifier: MIT */
/*
 * As later Linux for Xen, whose lazy limit was 0: an unmap is as lazy as ever, and purges at once
 * what is held lazily, its own and others'. The limit alone would leave the pages of vmap blocks
 * out, which is how Linux's NFS client still ran into aliases.
 */
#include "flush.h"
#include "vmap.h"

static void nolazy_unmapped(struct vmap_space *space)
{
	vm_unmap_aliases_in(space);
}

FLUSH_STRATEGY(nolazy, NOLAZY, "nolazy", "purge everything at every vunmap",
	       .vmap = {.unmapped = nolazy_unmapped});

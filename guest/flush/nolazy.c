/* SPDX-License-Identifier: MIT */
/*
 * As in later versions of Linux for Xen, with a lazy limit of 0: each unmap purges at once all that
 * is lazy. It also purges vmap blocks, to which Linux's limit does not apply; that is how its NFS
 * client still met aliases.
 */
#include "flush.h"
#include "vmap.h"

static void nolazy_unmapped(struct vmap_space *space)
{
	vm_unmap_aliases_in(space);
}

FLUSH_STRATEGY(nolazy, NOLAZY, "nolazy", "purge everything at every vunmap",
	       .vmap = {.unmapped = nolazy_unmapped});

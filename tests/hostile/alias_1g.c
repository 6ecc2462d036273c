/* SPDX-License-Identifier: MIT */
/*
 * Aliases by leaves of 1 GiB that span a table. (Such a leaf maps all memory there is here, the
 * pinned tables among it, so it can only be read-only, or in a tree that isn't pinned yet.)
 *
 * dirty, scan, log: reported with its address at the next sync; a root with one is refused.
 * strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	uint64_t leaf = P | RW | PS;

	require(set(&tree.vm_l3[2], leaf & ~RW));
	check(pin(direct(0x4ab000), 1) == ALIAS_OK);
	spare[0][0] = leaf;
	build_root(spare[1]);
	spare[1][1] = entry(spare[0], P | RW);
	require(pin(spare[0], 3) == ALIAS_OK);
	check(pin(spare[1], 4) == ALIAS_MAPS_TABLE);
	forbidden(&tree.vm_l3[2], leaf);
}

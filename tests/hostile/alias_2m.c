/* SPDX-License-Identifier: MIT */
/*
 * Aliases by leaves of 2 MiB that span a table.
 *
 * Every --track: a pin is refused, and the address named of that frame, not of the leaf. One made
 * later: dirty, scan, log: reported with its address at the next sync; strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	uint64_t leaf = 0x400000 | P | RW | PS;

	require(set(&tree.vm_l2[2], leaf));
	check(pin(direct(0x4ab000), 1) == ALIAS_HAS_ALIAS);
	check(page_of(0)->fault.nr == 1);
	check(page_of(0)->fault.va[0] == VM_BASE + (2ull << 21) + 0xab000);
	require(set(&tree.vm_l2[2], leaf & ~RW));
	check(pin(direct(0x4ab000), 1) == ALIAS_OK);
	forbidden(&tree.vm_l2[2], leaf);
}

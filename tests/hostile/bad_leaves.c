/* SPDX-License-Identifier: MIT */
/*
 * Large leaves and links with reserved bits, and links out of memory: what the processor makes of
 * them is a fault, what a host makes of them had better not be a mapping.
 *
 * dirty, scan, log: reported with its address at the next sync; a table with one is refused.
 * strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	spare[0][0] = 0x402000 | P | RW | PS;
	check(pin(spare[0], 2) == ALIAS_BAD_TABLE);
	spare[0][0] = 0x40200000 | P | RW | PS;
	check(pin(spare[0], 3) == ALIAS_BAD_TABLE);
	build_root(spare[1]);
	spare[1][0] = P | RW | PS;
	check(pin(spare[1], 4) == ALIAS_BAD_TABLE);
	forbidden(&tree.vm_l2[3], 0x402000 | P | RW | PS);
	forbidden(&tree.vm_l3[3], 0x40200000 | P | RW | PS);
	forbidden(&tree.root[5], P | RW | PS);
	forbidden(&tree.vm_l3[4], 1ull << 45 | P | RW);
}

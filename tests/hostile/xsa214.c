/* SPDX-License-Identifier: MIT */
/*
 * XSA-214: what a frame was once survives its reuse.
 *
 * Every --track: a frame that was an L1 table, and is one no more, may be mapped writable, is then
 * refused as table of any level, and is judged as an L2 table by the rules of that.
 */
#include "hostile.h"

static void hostile_main(void)
{
	spare[0][0] = entry(spare[1], P | RW);
	check(pin(spare[0], 1) == ALIAS_OK);
	check(unpin(spare[0]) == ALIAS_OK);
	check(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	host_sync();
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(pin(spare[0], 2) == ALIAS_HAS_ALIAS);
	require(set(&tree.vm_l1[0], 0));
	check(pin(spare[0], 2) == ALIAS_CHILD_UNPINNED);
	spare[0][0] = 0;
	check(pin(spare[0], 2) == ALIAS_OK);
}

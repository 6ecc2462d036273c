/* SPDX-License-Identifier: MIT */
/*
 * Tables that are pinned, but not at the level at which they are linked.
 *
 * Every --track: the pin of what links them is refused. A link made later: dirty, scan, log:
 * reported with its address at the next sync; strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	spare[2][0] = entry(spare[1], P | RW);
	require(pin(spare[1], 1) == ALIAS_OK);
	check(pin(spare[2], 3) == ALIAS_CHILD_UNPINNED);
	check(pin(spare[2], 4) == ALIAS_CHILD_UNPINNED);
	check(pin(spare[2], 2) == ALIAS_OK);
	forbidden(&tree.vm_l3[1], entry(spare[1], P | RW));
}

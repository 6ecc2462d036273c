/* SPDX-License-Identifier: MIT */
/*
 * A recursive slot, as some kernels have it to reach their tables, in a root that is to be
 * pinned.
 *
 * Every --track: refused, writable or not: the root is no L3 table.
 */
#include "hostile.h"

static void hostile_main(void)
{
	build_root(spare[0]);
	spare[0][510] = entry(spare[0], P | RW);
	check(pin(spare[0], 4) == ALIAS_CHILD_UNPINNED);
	spare[0][510] = entry(spare[0], P);
	check(pin(spare[0], 4) == ALIAS_CHILD_UNPINNED);
	spare[0][510] = entry(tree.root, P);
	check(pin(spare[0], 4) == ALIAS_CHILD_UNPINNED);
	spare[0][510] = 0;
	check(pin(spare[0], 4) == ALIAS_OK);
}

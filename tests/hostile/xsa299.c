/* SPDX-License-Identifier: MIT */
/*
 * XSA-299, XSA-310: what a refused or interrupted validation leaves behind. The pin of a root
 * fails at its last entry, after a good part of its tree was followed.
 *
 * Every --track: nothing is left: a frame that this tree alone maps can be pinned, its tables can
 * be unpinned, and the root is granted when its last entry is mended.
 */
#include "hostile.h"

static void hostile_main(void)
{
	uint64_t *l1 = spare[1], *l2 = spare[2], *l3 = spare[3], *root = spare[4];

	l1[0] = entry(spare[0], P | RW);
	l2[0] = entry(l1, P | RW);
	l3[0] = entry(l2, P | RW);
	build_root(root);
	root[1] = entry(l3, P | RW);
	root[511] = entry(spare[5], P | RW);
	require(pin(l1, 1) == ALIAS_OK && pin(l2, 2) == ALIAS_OK && pin(l3, 3) == ALIAS_OK);
	check(pin(root, 4) == ALIAS_CHILD_UNPINNED);
	check(pin(spare[0], 1) == ALIAS_OK);
	check(unpin(spare[0]) == ALIAS_OK);
	check(unpin(l3) == ALIAS_OK);
	require(pin(l3, 3) == ALIAS_OK);
	root[511] = 0;
	check(pin(root, 4) == ALIAS_OK);
	check(unpin(l3) == ALIAS_BAD_STATE);
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
}

/* SPDX-License-Identifier: MIT */
/*
 * A table is unpinned while another links it: it would be walked, and be anybody's to write.
 *
 * Every --track: refused, at each level, until the last link has gone. The link is seen in the
 * tables themselves, wherever it is.
 */
#include "hostile.h"

static void hostile_main(void)
{
	check(unpin(tree.vm_l1) == ALIAS_BAD_STATE);
	check(unpin(tree.vm_l2) == ALIAS_BAD_STATE);
	check(unpin(tree.vm_l3) == ALIAS_BAD_STATE);
	require(set(&tree.vm_l2[7], entry(tree.vm_l1, P)));
	require(set(&tree.vm_l2[0], 0));
	check(unpin(tree.vm_l1) == ALIAS_BAD_STATE);
	require(set(&tree.vm_l2[7], 0));
	check(unpin(tree.vm_l1) == ALIAS_OK);
}

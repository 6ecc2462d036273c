/* SPDX-License-Identifier: MIT */
/*
 * A frame is pinned twice, and unpinned when it isn't pinned.
 *
 * Every --track: refused, at the same and at any other level; what was granted stays.
 */
#include "hostile.h"

static void hostile_main(void)
{
	check(unpin(spare[0]) == ALIAS_BAD_STATE);
	check(pin(spare[0], 1) == ALIAS_OK);
	for (unsigned level = 1; level <= 4; level++)
		check(pin(spare[0], level) == ALIAS_BAD_STATE);
	check(pin(tree.root, 4) == ALIAS_BAD_STATE && pin(tree.vm_l1, 2) == ALIAS_BAD_STATE);
	check(unpin(spare[0]) == ALIAS_OK);
	check(unpin(spare[0]) == ALIAS_BAD_STATE);
	/* In one batch, each is served by what those before it have made of the frame. */
	put(0, ALIAS_OP_PIN, pfn_of(spare[0]), 1);
	put(1, ALIAS_OP_PIN, pfn_of(spare[0]), 1);
	put(2, ALIAS_OP_UNPIN, pfn_of(spare[0]), 0);
	put(3, ALIAS_OP_UNPIN, pfn_of(spare[0]), 0);
	check(call(4, 0) == ALIAS_OK);
	check(answer(0) == ALIAS_OK && answer(1) == ALIAS_BAD_STATE);
	check(answer(2) == ALIAS_OK && answer(3) == ALIAS_BAD_STATE);
}

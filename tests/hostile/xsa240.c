/* SPDX-License-Identifier: MIT */
/*
 * XSA-240, XSA-309: tables of one level in a chain, to have the host follow it without end.
 *
 * Every --track: a table that links one of its own level, or itself, is refused its pin, as what
 * it links is not pinned one level below.
 */
#include "hostile.h"

static void hostile_main(void)
{
	for (unsigned i = 0; i < 7; i++)
		spare[i][0] = entry(spare[i + 1], P | RW);
	spare[7][0] = entry(spare[0], P | RW);
	check(pin(spare[0], 3) == ALIAS_CHILD_UNPINNED);
	check(pin(spare[0], 2) == ALIAS_CHILD_UNPINNED);
	check(pin(spare[0], 4) == ALIAS_CHILD_UNPINNED);
	require(pin(spare[1], 1) == ALIAS_OK);
	check(pin(spare[0], 2) == ALIAS_OK);
	check(pin(spare[7], 2) == ALIAS_CHILD_UNPINNED);
}

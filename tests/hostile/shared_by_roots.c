/* SPDX-License-Identifier: MIT */
/*
 * Tables that two roots share.
 *
 * Every --track: an alias in them is one while either root leads there, and none when the last has
 * gone; the roots go one by one, and the table is no sooner free than both have.
 */
#include "hostile.h"

static void hostile_main(void)
{
	uint64_t *l1 = spare[1], *l2 = spare[2], *l3 = spare[3];

	l1[0] = entry(spare[0], P | RW);
	l2[0] = entry(l1, P | RW);
	l3[0] = entry(l2, P | RW);
	for (unsigned i = 4; i < 6; i++) {
		build_root(spare[i]);
		spare[i][1] = entry(l3, P | RW);
	}
	require(pin(l1, 1) == ALIAS_OK && pin(l2, 2) == ALIAS_OK && pin(l3, 3) == ALIAS_OK);
	require(pin(spare[4], 4) == ALIAS_OK && pin(spare[5], 4) == ALIAS_OK);
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(unpin(spare[4]) == ALIAS_OK);
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(unpin(l3) == ALIAS_BAD_STATE);
	check(unpin(spare[5]) == ALIAS_OK);
	check(pin(spare[0], 1) == ALIAS_OK);
	check(unpin(l3) == ALIAS_OK);
}

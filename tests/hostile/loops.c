/* SPDX-License-Identifier: MIT */
/*
 * Loops: a frame that links itself at every level, and two that link each other.
 *
 * Every --track: refused, and in finite time. As a table of the lowest level it is only one that
 * maps itself, which no tree may lead to: a link to it is reported with its address at the next
 * sync (dirty, scan, log), or not done (strict).
 */
#include "hostile.h"

static void hostile_main(void)
{
	for (unsigned i = 0; i < 512; i++)
		spare[0][i] = entry(spare[0], P | RW);
	spare[1][0] = entry(spare[2], P | RW);
	spare[2][0] = entry(spare[1], P | RW);
	for (unsigned level = 2; level <= 4; level++) {
		check(pin(spare[0], level) == ALIAS_CHILD_UNPINNED);
		check(pin(spare[1], level) == ALIAS_CHILD_UNPINNED);
	}
	for (unsigned i = 1; i < 512; i++)
		spare[0][i] = 0;
	check(pin(spare[0], 1) == ALIAS_OK);
	forbidden(&tree.vm_l2[1], entry(spare[0], P | RW));
}

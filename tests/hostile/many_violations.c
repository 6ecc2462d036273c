/* SPDX-License-Identifier: MIT */
/*
 * More violations at a time than are kept for the report: all entries of a table map another
 * writable.
 *
 * dirty, scan, log: those that are said are said with their addresses, and all are counted.
 * strict: not one is done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	for (unsigned i = 0; i < 512; i++)
		spare[1][i] = entry(spare[0], P | RW);
	require(pin(spare[1], 1) == ALIAS_OK);
	require(set(&tree.vm_l2[1], entry(spare[1], P)));
	require(pin(spare[0], 1) == ALIAS_OK);
	if (!tables_write_protected()) {
		forbidden(&tree.vm_l2[1], entry(spare[1], P | RW));
		return;
	}
	for (unsigned i = 0; i < 512; i++)
		forbidden(&tree.vm_l1[i], entry(spare[0], P | RW));
}

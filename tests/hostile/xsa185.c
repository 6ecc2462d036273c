/* SPDX-License-Identifier: MIT */
/*
 * XSA-185: a root that links itself, so that the tables can be written through a virtual address.
 *
 * dirty, scan, log: reported with its address at the next sync, as a link to what is no L3 table.
 * strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	forbidden(&tree.root[510], entry(tree.root, P | RW));
}

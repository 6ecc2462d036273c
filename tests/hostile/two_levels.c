/* SPDX-License-Identifier: MIT */
/*
 * One frame walked at two levels: as the L2 table that it is, and as an L1 table, where its links
 * are writable leaves that map the tables below it.
 *
 * dirty, scan, log: reported at the next sync, as a link to what is no L1 table and as a writable
 * mapping of the table that it links, each with its address. strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	forbidden(&tree.vm_l2[1], entry(tree.vm_l2, P | RW));
}

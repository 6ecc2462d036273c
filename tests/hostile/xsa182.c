/* SPDX-License-Identifier: MIT */
/*
 * XSA-182: an entry goes from read-only to writable, which was taken for too little to look at.
 * First the entry above a table, then the leaf itself.
 *
 * dirty, scan, log: each is reported with its address at the next sync. strict: neither is done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	require(pin(spare[0], 1) == ALIAS_OK);
	spare[1][0] = entry(spare[0], P | RW);
	require(pin(spare[1], 1) == ALIAS_OK);
	require(set(&tree.vm_l2[1], entry(spare[1], P)));
	require(set(&tree.vm_l1[0], entry(spare[0], P)));
	host_sync();
	forbidden(&tree.vm_l2[1], entry(spare[1], P | RW));
	forbidden(&tree.vm_l1[0], entry(spare[0], P | RW));
}

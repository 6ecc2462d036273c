/* SPDX-License-Identifier: MIT */
/*
 * XSA-213: a table changes its state in the middle of a batch. While the host is about to unpin
 * it for a vCPU, another links it.
 *
 * dirty, scan, log: unpinned, as nothing linked it when the host synced; the link is reported
 * with its address at the next sync. strict: the link pins it once more, so no table is linked
 * that isn't pinned.
 */
#include "hostile.h"

static void other(void)
{
	step_wait();
	if (tables_write_protected())
		step_go();
	set(&tree.vm_l2[1], entry(spare[0], P | RW));
	step_go();
	wait_turn(1);
}

static void hostile_main(void)
{
	require(pin(spare[0], 1) == ALIAS_OK);
	start_cpu1(other);
	step_arm();
	check(unpin(spare[0]) == ALIAS_OK);
	while (!tree.vm_l2[1])
		relax();
	host_sync();
	if (tables_write_protected())
		check(pin(spare[0], 1) == ALIAS_BAD_STATE);
}

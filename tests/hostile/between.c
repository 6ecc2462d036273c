/* SPDX-License-Identifier: MIT */
/*
 * An alias made by another vCPU between the verdict and the grant.
 *
 * dirty, scan, log: granted, and reported with its address at the next sync. strict: the frame is
 * write-protected from before the verdict on, and the mapping not done.
 */
#include "hostile.h"

static bool done;

static void other(void)
{
	step_wait();
	if (tables_write_protected())
		step_go();
	done = set(&tree.vm_l1[1], entry(spare[0], P | RW));
	step_go();
	next_turn(1);
	wait_turn(2);
}

static void hostile_main(void)
{
	start_cpu1(other);
	step_arm();
	check(pin(spare[0], 1) == ALIAS_OK);
	wait_turn(1);
	check(done == !tables_write_protected());
	host_sync();
}

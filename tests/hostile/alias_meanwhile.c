/* SPDX-License-Identifier: MIT */
/*
 * An alias made by another vCPU while a pin is served: after the host's sync and before the verdict
 * (--step sync), or between verdict and grant (--step grant).
 *
 * dirty, scan, log: granted, as of that sync, and reported with its address at the next. strict:
 * not done, as the other vCPU's store is judged after the grant, or the frame is write-protected
 * from before the verdict on.
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

/* SPDX-License-Identifier: MIT */
/*
 * An alias made by another vCPU after the host has synced at the tables, before the verdict.
 *
 * dirty, scan, log: granted, as of that sync, and reported with its address at the next. strict:
 * what the other vCPU stores is judged after the grant, and not done.
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

/* SPDX-License-Identifier: MIT */
/*
 * The handler of an upcall clears the entry, does not flush, and says that it has.
 *
 * With --flush-proof host, and strict: the host does not believe it, and flushes before the
 * grant.
 */
#include "hostile.h"

static void other(void)
{
	wait_turn(1);
	map_and_use(0, spare[0], 0);
	next_turn(2);
	wait_turn(3);
}

static void lie(void)
{
	clear(&tree.vm_l1[0]);
	common()->flushed = common()->cleared;
}

static void hostile_main(void)
{
	start_cpu1(other);
	next_turn(1);
	wait_turn(2);
	upcall = lie;
	check(pin_up(spare[0], 1) == ALIAS_OK);
	check(nr_upcalls == 1);
}

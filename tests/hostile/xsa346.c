/* SPDX-License-Identifier: MIT */
/*
 * XSA-346, XSA-480: a frame is reused before a flush that was put off. The guest says that it has
 * flushed, and has not.
 *
 * With --flush-proof host, and strict: the host does not believe it, and flushes before the
 * grant. (With --flush-proof guest dirty, scan and log take its word for this one thing: README,
 * levels of trust.)
 */
#include "hostile.h"

static void other(void)
{
	wait_turn(1);
	map_and_use(0, spare[0], 0);
	host_sync();
	clear(&tree.vm_l1[0]);
	common()->flushed = common()->cleared;
	next_turn(2);
	wait_turn(3);
}

static void hostile_main(void)
{
	start_cpu1(other);
	next_turn(1);
	wait_turn(2);
	check(pin(spare[0], 1) == ALIAS_OK);
}

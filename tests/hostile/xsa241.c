/* SPDX-License-Identifier: MIT */
/*
 * XSA-241: stale TLB entry because of a flush before the type change. Another vCPU maps a frame,
 * uses it and drops the mapping, all between two syncs of the host, and leaves the flush for later.
 * Then the frame is pinned.
 *
 * Every --track: granted, and by then that vCPU has been flushed by the host.
 */
#include "hostile.h"

static void other(void)
{
	wait_turn(1);
	map_and_use(0, spare[0], 0);
	clear(&tree.vm_l1[0]);
	next_turn(2);
	wait_turn(3);
}

static void hostile_main(void)
{
	host_sync();
	start_cpu1(other);
	next_turn(1);
	wait_turn(2);
	check(pin(spare[0], 1) == ALIAS_OK);
	check(!try_store(vm_va(0), 1));
}

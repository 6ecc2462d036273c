/* SPDX-License-Identifier: MIT */
/*
 * A request that changes while it is served: the host has read the entry and is about to grant
 * it, when another vCPU writes another frame and level into it.
 *
 * Every --track: what was read is judged, granted and answered; the other frame is as it was.
 */
#include "hostile.h"

static void other(void)
{
	step_wait();
	page_of(0)->ops[0].pfn = pfn_of(spare[1]);
	page_of(0)->ops[0].level = 3;
	page_of(0)->ops[0].op = ALIAS_OP_UNPIN;
	page_of(0)->count = UINT32_MAX;
	page_of(0)->flags = UINT32_MAX;
	step_go();
	wait_turn(1);
}

static void hostile_main(void)
{
	start_cpu1(other);
	step_arm();
	check(pin(spare[0], 1) == ALIAS_OK);
	check(unpin(spare[1]) == ALIAS_BAD_STATE);
	check(unpin(spare[0]) == ALIAS_OK);
}

/* SPDX-License-Identifier: MIT */
/*
 * The handler of an upcall never returns.
 *
 * Every --track: the other vCPU is served meanwhile; the guest ends at the time limit.
 */
#include "hostile.h"

static void other(void)
{
	wait_turn(1);
	check(pin(spare[1], 1) == ALIAS_OK);
	check(unpin(spare[1]) == ALIAS_OK);
	say("served\n");
	wait_turn(2);
}

static void never(void)
{
	next_turn(1);
	wait_turn(2);
}

static void hostile_main(void)
{
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	upcall = never;
	start_cpu1(other);
	pin_up(spare[0], 1);
	check(false);
}

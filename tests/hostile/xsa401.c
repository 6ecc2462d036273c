/* SPDX-License-Identifier: MIT */
/*
 * XSA-401: the flush came before the type change, and in between another vCPU made a new mapping.
 * The host has synced, finds a flush due, and is stopped before it pauses the vCPUs; the other vCPU
 * maps the frame.
 *
 * Every --track: refused for the alias.
 */
#include "hostile.h"

static void other(void)
{
	step_wait();
	map_and_use(1, spare[0], 0);
	step_go();
	wait_turn(1);
}

static void hostile_main(void)
{
	map_and_use(0, spare[0], 0);
	host_sync();
	clear(&tree.vm_l1[0]);
	start_cpu1(other);
	step_arm();
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(page_of(0)->fault.nr == 1 && page_of(0)->fault.va[0] == vm_va(1));
}

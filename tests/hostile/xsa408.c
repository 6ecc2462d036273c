/* SPDX-License-Identifier: MIT */
/*
 * XSA-408: a wrong condition leaves out flushes that are due. Right after the host has flushed this
 * vCPU, and before its clock ticks again, another mapping comes and goes.
 *
 * Every --track: the stamp is no newer than that: flushed once more before the grant.
 */
#include "hostile.h"

static void hostile_main(void)
{
	host_sync();
	map_and_use(0, spare[0], 0);
	clear(&tree.vm_l1[0]);
	check(pin(spare[0], 1) == ALIAS_OK);
	map_and_use(1, spare[1], 0);
	clear(&tree.vm_l1[1]);
	check(pin(spare[1], 1) == ALIAS_OK);
}

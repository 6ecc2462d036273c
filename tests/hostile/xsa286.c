/* SPDX-License-Identifier: MIT */
/*
 * XSA-286: an upper level changes, and what lay below is not flushed. The host has seen a mapping;
 * it goes by the entry above its table.
 *
 * Every --track: granted, and by then the vCPU that used it has been flushed by the host.
 */
#include "hostile.h"

static void other(void)
{
	wait_turn(1);
	require(try_store(vm_va(512), 0));
	note_tlb(spare[0], false);
	clear(&tree.vm_l2[1]);
	next_turn(2);
	wait_turn(3);
}

static void hostile_main(void)
{
	spare[1][0] = entry(spare[0], P | RW);
	require(pin(spare[1], 1) == ALIAS_OK);
	set(&tree.vm_l2[1], entry(spare[1], P | RW));
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	start_cpu1(other);
	next_turn(1);
	wait_turn(2);
	check(pin(spare[0], 1) == ALIAS_OK);
}

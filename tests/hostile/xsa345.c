/* SPDX-License-Identifier: MIT */
/*
 * XSA-345: a large leaf is split while it is being looked at. A vCPU has used the 2 MiB leaf;
 * when the host has synced, another leaf of 4 KiB for the same frames takes its place, without
 * one of them.
 *
 * Every --track: refused while the large leaf is there; afterwards that frame can be pinned, and
 * by then the vCPU has lost the large translation.
 */
#include "hostile.h"

static void other(void)
{
	wait_turn(1);
	require(try_store(VM_BASE + (2ull << 21), 0));
	note_tlb(direct(0x400000), false);
	next_turn(2);
	wait_turn(3);
	for (unsigned i = 1; i < 512; i++)
		spare[0][i] = entry(direct(0x400000 + i * 4096ull), P | RW);
	require(pin(spare[0], 1) == ALIAS_OK);
	__atomic_fetch_add(&common()->cleared, 1, __ATOMIC_SEQ_CST);
	set(&tree.vm_l2[2], entry(spare[0], P | RW));
	next_turn(4);
	wait_turn(5);
}

static void hostile_main(void)
{
	require(set(&tree.vm_l2[2], entry(direct(0x400000), P | RW | PS)));
	start_cpu1(other);
	next_turn(1);
	wait_turn(2);
	check(pin(direct(0x400000), 1) == ALIAS_HAS_ALIAS);
	check(page_of(0)->fault.va[0] == VM_BASE + (2ull << 21));
	next_turn(3);
	wait_turn(4);
	check(pin(direct(0x400000), 1) == ALIAS_OK);
	check(pin(direct(0x401000), 1) == ALIAS_HAS_ALIAS);
	check(!try_store(VM_BASE + (2ull << 21), 0));
}

/* SPDX-License-Identifier: MIT */
/*
 * The handler of an upcall returns at once.
 *
 * Every --track: refused after that one chance, and the address named; the next entry that meets
 * an alias has a chance of its own.
 */
#include "hostile.h"

static void nothing(void)
{
}

static void hostile_main(void)
{
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	require(set(&tree.vm_l1[1], entry(spare[1], P | RW)));
	upcall = nothing;
	put(0, ALIAS_OP_PIN, pfn_of(spare[0]), 1);
	put(1, ALIAS_OP_PIN, pfn_of(spare[1]), 1);
	put(2, ALIAS_OP_PIN, pfn_of(spare[2]), 1);
	check(call(3, ALIAS_BATCH_UPCALL) == ALIAS_OK);
	check(answer(0) == ALIAS_HAS_ALIAS && answer(1) == ALIAS_HAS_ALIAS);
	check(answer(2) == ALIAS_OK && nr_upcalls == 2);
	check(page_of(0)->fault.op == 1 && page_of(0)->fault.va[0] == vm_va(1));
}

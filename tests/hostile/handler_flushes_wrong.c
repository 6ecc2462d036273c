/* SPDX-License-Identifier: MIT */
/*
 * The handler of an upcall purges and flushes another range than the one it was told, and says
 * that all is done.
 *
 * Every --track: the tables are looked at, not the handler's word: refused.
 */
#include "hostile.h"

static void purge_other(void)
{
	clear(&tree.vm_l1[1]);
	invlpg(vm_va(1));
	common()->flushed = common()->cleared;
}

static void hostile_main(void)
{
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	require(set(&tree.vm_l1[1], entry(spare[1], P | RW)));
	upcall = purge_other;
	check(pin_up(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(nr_upcalls == 1 && page_of(0)->fault.va[0] == vm_va(0));
}

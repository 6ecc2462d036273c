/* SPDX-License-Identifier: MIT */
/*
 * An upcall's handler says by when the aliases that `fault` named had gone (alias_abi.h, gone_by),
 * and that is true. But while it was at work the other vCPU mapped the frame elsewhere, used that,
 * dropped it, and has yet to flush.
 *
 * Every source: the word covers what was named, and no more: the other vCPU is flushed before the
 * grant.
 */
#include "hostile.h"

static void other(void)
{
	wait_turn(1);
	map_and_use(1, spare[0], 0);
	clear(&tree.vm_l1[1]);
	next_turn(2);
	wait_turn(3);
}

static void purge(void)
{
	clear(&tree.vm_l1[0]);
	invlpg(vm_va(0));
	common()->flushed = common()->cleared;
	page_of(0)->gone_by = common()->flushed;
	next_turn(1);
	wait_turn(2);
}

static void hostile_main(void)
{
	set(&tree.vm_l1[0], entry(spare[0], P | RW));
	upcall = purge;
	start_cpu1(other);
	check(pin_up(spare[0], 1) == ALIAS_OK);
	check(nr_upcalls == 1);
}

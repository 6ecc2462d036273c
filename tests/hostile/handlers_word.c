/* SPDX-License-Identifier: MIT */
/*
 * An upcall's handler purges what `fault` named, and says so by the clock, which is true. But while
 * it is at work the other vCPU maps the frame elsewhere and lets the clock tick for that; then a
 * pin of another frame has the host flush them both, so that all up to this tick counts as flushed.
 * Only after that it uses the mapping once more and drops it, and has yet to flush.
 *
 * Every --track: what the handler has done says nothing of the second mapping: the other vCPU is
 * flushed before the grant.
 */
#include "hostile.h"

static void other(void)
{
	wait_turn(1);
	map_and_use(1, spare[0], 0);
	__atomic_fetch_add(&common()->cleared, 1, __ATOMIC_SEQ_CST);
	require(pin(spare[1], 1) == ALIAS_OK);
	map_and_use(1, spare[0], 0);
	set(&tree.vm_l1[1], 0);
	next_turn(2);
	wait_turn(3);
}

static void purge(void)
{
	clear(&tree.vm_l1[0]);
	invlpg(vm_va(0));
	common()->flushed = common()->cleared;
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

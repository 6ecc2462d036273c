/* SPDX-License-Identifier: MIT */
/*
 * The handler of an upcall pins the same frame again, from within.
 *
 * Every --track: that call is another one, with a chance of its own, and refused when it has had
 * it; when the first call is repeated it is refused, too, as it had its own.
 */
#include "hostile.h"

static bool nested;

static void again(void)
{
	check(nr_upcalls <= 2);
	if (nested)
		return;
	nested = true;
	check(pin_up(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(nr_upcalls == 2);
	put(0, ALIAS_OP_PIN, pfn_of(spare[0]), 1);
}

static void hostile_main(void)
{
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	upcall = again;
	check(pin_up(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(nr_upcalls == 2);
}

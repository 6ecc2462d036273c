/* SPDX-License-Identifier: MIT */
/*
 * A table that maps itself and is in use already when it is to be pinned.
 *
 * Every --track: refused, and the address named at which it maps itself. (strict: it cannot be in
 * use unpinned, so the link asks for its pin and is refused.)
 */
#include "hostile.h"

static void hostile_main(void)
{
	spare[0][3] = entry(spare[0], P | RW);
	if (tables_write_protected()) {
		forbidden(&tree.vm_l2[1], entry(spare[0], P | RW));
		return;
	}
	require(set(&tree.vm_l2[1], entry(spare[0], P | RW)));
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(page_of(0)->fault.nr == 1 && page_of(0)->fault.va[0] == vm_va(512 + 3));
}

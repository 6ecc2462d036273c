/* SPDX-License-Identifier: MIT */
/*
 * String input into a table above L1: KVM emulates it, takes all from the port, and tells of more
 * bytes than any store has.
 *
 * strict: what was taken is gone, so the guest gets no further.
 */
#include "hostile.h"

#define EMPTY_PORT 0x0123u /* unassigned */

static void hostile_main(void)
{
	bool done = false;

	/* KVM shadows the tables. */
	require(set(&tree.vm_l1[0], entry(spare[7], P | RW)) && try_store(vm_va(0), 0));
	TRY(done, "mov $8, %%ecx; mov %w2, %%dx; cld; rep insl", "D"(&tree.vm_l2[200]),
	    "r"(EMPTY_PORT));
	check(!tables_write_protected() || !done);
	check(!tables_write_protected());
}

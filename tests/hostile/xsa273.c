/* SPDX-License-Identifier: MIT */
/*
 * XSA-273: an entry that is not present, and has the address of a live frame in it.
 *
 * Every --track: it maps nothing, so the frame can be pinned. When it becomes present: dirty,
 * scan, log: reported with its address at the next sync; strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	require(set(&tree.vm_l1[0], entry(spare[0], RW)));
	check(pin(spare[0], 1) == ALIAS_OK);
	forbidden(&tree.vm_l1[0], entry(spare[0], P | RW));
}

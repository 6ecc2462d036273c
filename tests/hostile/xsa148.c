/* SPDX-License-Identifier: MIT */
/*
 * XSA-148: the size bit of a live L2 entry is flipped: what linked a pinned table maps it, with
 * all that lies in the same 2 MiB.
 *
 * dirty, scan, log: reported with its address at the next sync. strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	uint64_t *l1 = direct(0x400000);

	require(pin(l1, 1) == ALIAS_OK);
	require(set(&tree.vm_l2[2], entry(l1, P | RW)));
	host_sync();
	forbidden(&tree.vm_l2[2], entry(l1, P | RW | PS));
}

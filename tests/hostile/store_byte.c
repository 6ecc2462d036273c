/* SPDX-License-Identifier: MIT */
/*
 * A mapping of a pinned table is made writable by the store of a single byte.
 *
 * dirty, scan, log: reported with its address at the next sync. strict: not done.
 */
#include "hostile.h"

static void hostile_main(void)
{
	uint64_t before = entry(spare[0], P), gpa = gpa_of(&tree.vm_l1[0]);
	bool done = false;

	require(pin(spare[0], 1) == ALIAS_OK);
	require(set(&tree.vm_l1[0], before));
	host_sync();
	before = tree.vm_l1[0];
	TRY(done, "movb $3, (%1)", "r"(&tree.vm_l1[0]));
	if (common()->logging)
		log_change(gpa, before, (before & ~0xffull) | 3);
	judge_forbidden(&tree.vm_l1[0], before, done);
}

/* SPDX-License-Identifier: MIT */
/*
 * A root that was never pinned is loaded, and a pinned table written by way of it.
 *
 * dirty, scan, log: the load is not seen (README, levels of trust), but the table is a followed
 * one, and what it now says is reported with its address at the next sync. strict: not done,
 * whatever root.
 */
#include "hostile.h"

extern const char boot_l4[];

static void hostile_main(void)
{
	uint64_t *through_low = (uint64_t *)gpa_of(&tree.vm_l1[5]), value;
	bool done = false;

	require(pin(spare[0], 1) == ALIAS_OK);
	host_sync();
	value = entry(spare[0], P | RW);
	load_cr3(gpa_of(boot_l4));
	TRY(done, "movq %2, (%1)", "r"(through_low), "r"(value));
	load_cr3(gpa_of(tree.root));
	judge_forbidden(&tree.vm_l1[5], 0, done);
}

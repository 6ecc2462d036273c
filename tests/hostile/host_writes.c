/* SPDX-License-Identifier: MIT */
/*
 * A frame that the host itself writes is linked as a table, against the rules. The word of the
 * command line says which:
 *
 *   deflate  one that was ballooned: the host fills it with zeroes when it comes back
 *   shared   the page of this vCPU: the host writes its answers there, and how far it read the log
 *
 * dirty, scan, log: the link is reported, and what it makes mapped while it does. What the host
 * wrote is no change of the guest's, so log has nothing else to say, at no audit. strict: the link
 * is refused.
 */
#include "hostile.h"

static void link_ballooned_frame(void)
{
	static table_t ballooned;

	check(one(ALIAS_OP_INFLATE, pfn_of(ballooned), 0, 0) == ALIAS_OK);
	set(&ballooned[0], entry(spare[1], P));
	set(&ballooned[1], entry(spare[1], P));
	forbidden(&tree.vm_l2[1], entry(ballooned, P | RW));
	host_sync();
	check(one(ALIAS_OP_DEFLATE, pfn_of(ballooned), 0, 0) == ALIAS_OK);
	check(ballooned[0] == 0);
	host_sync();
	check(one(ALIAS_OP_INFLATE, pfn_of(spare[1]), 0, 0) == ALIAS_OK); /* not mapped any more */
	set(&ballooned[2], entry(spare[2], P));
}

static void link_own_page(void)
{
	forbidden(&tree.vm_l2[1], entry(page_of(0), P | RW));
	for (unsigned i = 0; i < 20; i++) {
		set(&tree.vm_l1[i], entry(spare[0], P));
		host_sync();
	}
}

static void hostile_main(void)
{
	host_sync();
	if (last_word()[0] == 'd')
		link_ballooned_frame();
	else
		link_own_page();
	host_sync();
}

/* SPDX-License-Identifier: MIT */
/*
 * A frame that the host itself writes is linked as a table, against the rules. The word of the
 * command line says which:
 *
 *   deflate  one that was given away: the host fills it with zeroes when it comes back
 *   shared   the page of this vCPU: the host writes its answers there, and how far it read the log
 *
 * dirty, scan, log: the link is reported, and what it makes mapped while it does. What the host
 * wrote is no change of the guest's, so log has nothing else to say, at no audit. strict: the link
 * is refused.
 */
#include "hostile.h"

static void link_given_frame(void)
{
	static table_t given;

	check(one(ALIAS_OP_INFLATE, pfn_of(given), 0, 0) == ALIAS_OK);
	set(&given[0], entry(spare[1], P));
	set(&given[1], entry(spare[1], P));
	forbidden(&tree.vm_l2[1], entry(given, P | RW));
	look();
	check(one(ALIAS_OP_DEFLATE, pfn_of(given), 0, 0) == ALIAS_OK);
	check(given[0] == 0);
	look();
	check(one(ALIAS_OP_INFLATE, pfn_of(spare[1]), 0, 0) == ALIAS_OK); /* not mapped any more */
	set(&given[2], entry(spare[2], P));
}

static void link_own_page(void)
{
	forbidden(&tree.vm_l2[1], entry(page_of(0), P | RW));
	for (unsigned i = 0; i < 20; i++) {
		set(&tree.vm_l1[i], entry(spare[0], P));
		look();
	}
}

static void hostile_main(void)
{
	look();
	if (last_word()[0] == 'd')
		link_given_frame();
	else
		link_own_page();
	look();
}

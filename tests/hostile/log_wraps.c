/* SPDX-License-Identifier: MIT */
/*
 * A log whose head is further on than there is room, and then behind what was taken.
 *
 * log: none of it is believed, and the host compares the tables themselves: an alias without a
 * record is found, and reported beside the head that can't be. dirty, scan, strict: refused all the
 * same.
 */
#include "hostile.h"

static void lie(uint64_t head, unsigned i)
{
	page_of(0)->log.head = head;
	require(set_unlogged(&tree.vm_l1[i], entry(spare[i], P | RW)));
	check(pin(spare[i], 1) == ALIAS_HAS_ALIAS);
}

static void hostile_main(void)
{
	host_sync();
	lie(page_of(0)->log.head + ALIAS_LOG_RECORDS + 1, 0);
	lie(UINT64_MAX, 1);
	lie(UINT64_MAX - 1, 2);
	lie(1ull << 63, 3);
}

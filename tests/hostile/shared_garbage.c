/* SPDX-License-Identifier: MIT */
/*
 * Garbage in all that the host reads of the shared pages beside requests: strategies, clocks, the
 * guest's statistics.
 *
 * Every --track: the wishes of the host are the guest's to take, clocks that run backwards or are
 * at their end make no pin be granted that must not be, and the statistics can be written.
 */
#include "hostile.h"

static void hostile_main(void)
{
	struct alias_common_page *c = common();
	uint64_t *stats = (uint64_t *)&page_of(0)->stats;

	for (unsigned i = 0; i < sizeof(page_of(0)->stats) / 8; i++)
		stats[i] = UINT64_MAX - i;
	c->strategy = UINT32_MAX;
	c->wanted_strategy = 0x80000000;
	c->cleared = UINT64_MAX;
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	c->cleared = 5;
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	c->flushed = UINT64_MAX;
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	c->flushed = 0;
	page_of(0)->unused = UINT64_MAX;
	page_of(0)->fault.nr = UINT32_MAX;
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(page_of(0)->fault.nr == 1);
}

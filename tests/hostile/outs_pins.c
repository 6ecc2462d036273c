/* SPDX-License-Identifier: MIT */
/*
 * The guest asks for pins by a string instruction, and has a handler.
 *
 * Every --track: the call is malformed, whether an alias is met or not: no op is served, and no
 * upcall comes, as nothing could bring it back there. Only if EAX holds the call, too, and no alias
 * is met, it is as good as an `out`. By `out` all is as ever.
 */
#include "hostile.h"
#include "outs.h"

static void purge(void)
{
	set(&tree.vm_l1[0], 0);
	load_cr3(gpa_of(tree.root));
	common()->flushed = common()->cleared;
}

static unsigned pin_by_outs(const void *table, unsigned n, uint32_t eax)
{
	static const uint32_t twice[] = {ALIAS_CALL_PIN, ALIAS_CALL_PIN};

	put(0, ALIAS_OP_PIN, pfn_of(table), 1);
	page_of(0)->count = 1;
	page_of(0)->flags = ALIAS_BATCH_UPCALL;
	return call_by_outs(twice, n, eax);
}

static void hostile_main(void)
{
	upcall = purge;
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	for (unsigned n = 1; n <= 2; n++) {
		check(pin_by_outs(spare[0], n, ALIAS_CALL_PIN) == ALIAS_BAD_CALL);
		check(answer(0) == ALIAS_PENDING && nr_upcalls == 0);
	}
	for (unsigned n = 1; n <= 2; n++) {
		check(pin_by_outs(spare[1], n, ALIAS_CALL_FLUSH) == ALIAS_BAD_CALL);
		check(answer(0) == ALIAS_PENDING && nr_upcalls == 0);
	}
	check(pin_by_outs(spare[1], 1, ALIAS_CALL_PIN) == ALIAS_OK && answer(0) == ALIAS_OK);
	check(pin_up(spare[0], 1) == ALIAS_OK && nr_upcalls == 1);
}

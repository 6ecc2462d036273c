/* SPDX-License-Identifier: MIT */
/*
 * The guest asks for pins by a string instruction, and has a handler.
 *
 * Every --track: where an alias is met the call is malformed, as nothing could bring it back there;
 * no upcall comes. So it is if the instruction makes more than one call. By `out` all is as ever.
 */
#include "hostile.h"
#include "outs.h"

static void purge(void)
{
	set(&tree.vm_l1[0], 0);
	load_cr3(gpa_of(tree.root));
	common()->flushed = common()->cleared;
}

static void hostile_main(void)
{
	static const uint32_t twice[] = {ALIAS_CALL_PIN, ALIAS_CALL_PIN};

	upcall = purge;
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	for (unsigned n = 1; n <= 2; n++) {
		put(0, ALIAS_OP_PIN, pfn_of(spare[0]), 1);
		page_of(0)->count = 1;
		page_of(0)->flags = ALIAS_BATCH_UPCALL;
		check(call_by_outs(twice, n) == ALIAS_BAD_CALL);
		check(answer(0) == ALIAS_PENDING && nr_upcalls == 0);
	}
	check(pin_up(spare[0], 1) == ALIAS_OK && nr_upcalls == 1);
}

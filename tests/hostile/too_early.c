/* SPDX-License-Identifier: MIT */
/*
 * Calls before the registration.
 *
 * Every --track: refused; the registration can still be made, and only then is anything served.
 */
#define NO_TREE
#include "hostile.h"

static void hostile_main(void)
{
	check(pin(spare[0], 1) == ALIAS_BAD_CALL);
	page_of(0)->nr_updates = 1;
	outl(HYPERCALL_PORT, ALIAS_CALL_UPDATE);
	check(page_of(0)->call_status == ALIAS_BAD_CALL);
	check(register_direct(DIRECT, DIRECT_SIZE) == ALIAS_OK);
	build_tree();
	check(pin_tree() == 0);
}

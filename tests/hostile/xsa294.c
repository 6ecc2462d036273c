/* SPDX-License-Identifier: MIT */
/*
 * XSA-294: a flush that left entries of other PCIDs, or global ones. The stale entry is global.
 *
 * Every --track: the host's flush drops global entries, too, before the grant.
 */
#include "hostile.h"

static void hostile_main(void)
{
	host_sync();
	map_and_use(0, spare[0], G);
	clear(&tree.vm_l1[0]);
	check(pin(spare[0], 1) == ALIAS_OK);
	check(!try_store(vm_va(0), 1));
}

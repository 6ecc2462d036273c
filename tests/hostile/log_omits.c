/* SPDX-License-Identifier: MIT */
/*
 * A log that leaves a change out: the table maps a frame, and no record tells of it.
 *
 * log: with an audit at every sync the change is seen, the pin refused, and the missing record
 * reported with its entry. dirty, scan, strict: refused; no log is asked for.
 */
#include "hostile.h"

static void hostile_main(void)
{
	host_sync();
	require(set_unlogged(&tree.vm_l1[0], entry(spare[0], P | RW)));
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
}

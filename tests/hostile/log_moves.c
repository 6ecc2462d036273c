/* SPDX-License-Identifier: MIT */
/*
 * A log whose head moves on and on while the host takes records, and whose records change under
 * it.
 *
 * log: each sync ends with what was there when it began, pins go on, and an alias with a record
 * is found. dirty, scan, strict: nothing of it is looked at.
 */
#include "hostile.h"

static void other(void)
{
	struct alias_log *log = &page_of(1)->log;

	while (turn == 0) {
		if (common()->log_wanted)
			log_change(gpa_of(spare[3]) + log->head % 512 * 8, log->head, log->tail);
		relax();
	}
	next_turn(2);
	for (;;)
		relax();
}

static void hostile_main(void)
{
	start_cpu1(other);
	while (common()->log_wanted && page_of(1)->log.head == 0)
		relax();
	say("moving\n");
	for (unsigned i = 0; i < 20; i++) {
		check(pin(spare[0], 1) == ALIAS_OK);
		check(unpin(spare[0]) == ALIAS_OK);
	}
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	next_turn(1);
	wait_turn(2);
}

/* SPDX-License-Identifier: MIT */
/*
 * A record is missing, and beside each sync another vCPU writes more records than the host can look
 * through, so that it can't be told which changes are still to be logged. log: reported all the
 * same, after a few syncs.
 */
#include "hostile.h"

#define BESIDE 300u /* more than the tracker wants to be told of */
#define SYNCS  20u

/* Whenever a sync looks. */
static void write_beside(void)
{
	next_turn(1);
	for (;;) {
		step_arm();
		while (!step()->there)
			relax();
		for (unsigned i = 0; i < BESIDE; i++)
			log_change(0x100000, 0, 0); /* of no table */
		step_go();
		while (step()->there)
			relax();
	}
}

static void hostile_main(void)
{
	host_sync();
	if (!common()->logging)
		return;
	start_cpu1(write_beside);
	wait_turn(1);
	require(set_unlogged(&tree.vm_l1[5], entry(spare[0], P | RW)));
	for (unsigned i = 0; i < SYNCS; i++) {
		while (!step()->armed)
			relax();
		host_sync();
	}
	check(!"it is never judged");
}

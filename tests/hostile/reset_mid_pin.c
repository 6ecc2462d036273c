/* SPDX-License-Identifier: MIT */
/*
 * A vCPU is reset (INIT) in the middle of its pin.
 *
 * Every --track: the pin is brought to its end, the host goes on, and others find the frame
 * pinned, once.
 */
#include "hostile.h"

static void other(void)
{
	step_arm();
	pin(spare[0], 1);
	check(false);
}

static void hostile_main(void)
{
	start_cpu1(other);
	step_wait();
	wrmsr(0x830, 1ull << 32 | 0x4500); /* INIT to APIC id 1 */
	step_go();
	/* Waits for the hypercall until that pin is done. */
	check(pin(spare[1], 1) == ALIAS_OK);
	check(pin(spare[0], 1) == ALIAS_BAD_STATE);
	check(unpin(spare[0]) == ALIAS_OK);
	check(unpin(spare[0]) == ALIAS_BAD_STATE);
}

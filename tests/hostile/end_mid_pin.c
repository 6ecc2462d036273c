/* SPDX-License-Identifier: MIT */
/*
 * The machine is shut down by one vCPU while another is in the middle of its pin.
 *
 * Every --track: it ends, with the status of the triple fault.
 */
#include "hostile.h"

static void other(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = {0, 0};

	step_wait();
	__asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}

static void hostile_main(void)
{
	start_cpu1(other);
	step_arm();
	pin(spare[0], 1);
	check(false);
}

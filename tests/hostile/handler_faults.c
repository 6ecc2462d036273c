/* SPDX-License-Identifier: MIT */
/*
 * The handler of an upcall faults, and nothing handles that.
 *
 * Every --track: the guest ends with the status of a triple fault, and never with one of its own.
 */
#include "hostile.h"

static void fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = {0, 0};

	__asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}

static void hostile_main(void)
{
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	upcall = fault;
	pin_up(spare[0], 1);
}

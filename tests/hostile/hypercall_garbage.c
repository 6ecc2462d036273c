/* SPDX-License-Identifier: MIT */
/*
 * Codes that are no call, and accesses to the hypercall of other sizes, at other places, and to
 * read.
 *
 * Every --track: no call, no answer but BAD_CALL, and the next call is served.
 */
#include "hostile.h"

static unsigned rung(void)
{
	unsigned status = page_of(0)->call_status;

	page_of(0)->call_status = ALIAS_PENDING;
	return status;
}

static void hostile_main(void)
{
	static const uint32_t codes[] = {0, 5, 0x102, 0x80000002, UINT32_MAX};
	uint32_t read;

	put(0, ALIAS_OP_PIN, pfn_of(spare[0]), 1);
	page_of(0)->count = 1;
	rung();
	for (unsigned i = 0; i < 5; i++) {
		outl(HYPERCALL_PORT, codes[i]);
		check(rung() == ALIAS_BAD_CALL);
	}
	for (unsigned i = 0; i < 4; i++) {
		outb((uint16_t)(HYPERCALL_PORT + i), ALIAS_CALL_PIN);
		check(rung() == ALIAS_BAD_CALL);
	}
	__asm__ volatile("outw %w0, %w1" : : "a"(ALIAS_CALL_PIN), "Nd"(HYPERCALL_PORT) : "memory");
	check(rung() == ALIAS_BAD_CALL);
	__asm__ volatile("inl %w1, %0" : "=a"(read) : "Nd"(HYPERCALL_PORT) : "memory");
	check(read == UINT32_MAX && rung() == ALIAS_PENDING);
	check(answer(0) == ALIAS_PENDING);
	check(pin(spare[0], 1) == ALIAS_OK);
}

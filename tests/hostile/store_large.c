/* SPDX-License-Identifier: MIT */
/*
 * sgdt, to a table above L1 and to memory beside it: KVM emulates it, if it comes twice, and writes
 * page by page until it may not, without a word to anybody.
 *
 * strict: the guest gets no further. The others have nothing to do with stores.
 */
#include "hostile.h"

#define BEFORE 4u /* bytes that go to the memory: the limit and some of the base */

static void hostile_main(void)
{
	uint64_t *const table = spare[4];
	volatile uint8_t *plain = (uint8_t *)table - BEFORE;
	bool done = false;

	require(pin(table, 2) == ALIAS_OK && pin(spare[6], 1) == ALIAS_OK);
	require(set(&tree.vm_l3[1], entry(table, P | RW)));
	require(set(&table[3], entry(spare[6], P | RW)) && set(&spare[6][0], 0x400000 | P | RW));
	for (unsigned tries = 0; tries < 4 && !done; tries++) {
		/* KVM shadows the table and maps it for reading. */
		require(try_store(VM_BASE + (1ull << 30) + (3ull << 21), 0));
		require(*(volatile uint64_t *)&table[3] & P);
		plain[2] = plain[3] = 0x11;
		TRY(done, "sgdt (%1)", "r"(plain));
		/* (An emulated processor may store the limit before it faults for the base.) */
		check(done || (plain[2] == 0x11 && plain[3] == 0x11));
	}
	check(!tables_write_protected());
}

/* SPDX-License-Identifier: MIT */
/*
 * XSA-402: mappings of a table with another memory type than the others have.
 *
 * Every --track: a writable one is an alias like any other, whatever its type; a read-only one is
 * none.
 */
#include "hostile.h"

#define PWT 0x08ull
#define PCD 0x10ull
#define PAT 0x80ull

static void hostile_main(void)
{
	static const uint64_t types[] = {0, PWT, PCD, PWT | PCD, PAT, PAT | PCD};

	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		require(set(&tree.vm_l1[0], entry(spare[0], P | RW | types[i])));
		check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
		require(set(&tree.vm_l1[0], entry(spare[0], P | types[i])));
		check(pin(spare[0], 1) == ALIAS_OK);
		check(unpin(spare[0]) == ALIAS_OK);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * A log with lies: records of entries that did not change, with other values, of what is no
 * entry, no table, no memory.
 *
 * log: an entry is what memory says it is; with an audit at every sync those of followed entries
 * are reported, all others are left alone. dirty, scan, strict: nothing of it is looked at.
 */
#include "hostile.h"

static void hostile_main(void)
{
	static const uint64_t strays[] = {1,          7,     SHARED_GPA, 1ull << 45,
					  UINT64_MAX, -8ull, 0x100000};

	host_sync();
	if (!common()->log_wanted)
		return;
	for (unsigned i = 0; i < sizeof(strays) / sizeof(strays[0]); i++)
		log_change(strays[i], 0, entry(spare[0], P | RW));
	log_change(gpa_of(&tree.vm_l1[2]), 0, entry(spare[0], P | RW));
	check(pin(spare[0], 1) == ALIAS_OK);
}

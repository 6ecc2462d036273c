/* SPDX-License-Identifier: MIT */
/*
 * XSA-286 by way of a batch: updates that take rights away, and what TLBs hold of the old ones.
 *
 * dirty, scan, log: the call is refused, as tables are not write-protected. strict: a batch is
 * flushed once, after its last update, and not at all if it took no right away; after the call
 * nothing that was taken away can be used. (How often shows in the statistics.)
 */
#include "updates.h"

#define DATA 0x400000ull

/* All entries of the table, or the first so many, in one call. */
static void update_all(unsigned nr, uint64_t bits)
{
	for (unsigned i = 0; i < nr; i++)
		put_update(i, gpa_of(&tree.vm_l1[i]), bits ? (DATA + i * 4096) | bits : 0);
	check(update(nr) == ALIAS_OK);
	for (unsigned i = 0; i < nr; i++)
		check(update_answer(i) == ALIAS_OK);
}

static unsigned usable(unsigned nr)
{
	unsigned usable = 0;

	for (unsigned i = 0; i < nr; i++)
		usable += try_store(vm_va(i), i);
	return usable;
}

static void hostile_main(void)
{
	if (!tables_write_protected()) {
		check(update(1) == ALIAS_BAD_CALL);
		return;
	}
	update_all(ALIAS_UPDATE_MAX, P); /* new */
	check(usable(ALIAS_UPDATE_MAX) == 0);
	update_all(ALIAS_UPDATE_MAX, P | RW); /* a right more */
	check(usable(ALIAS_UPDATE_MAX) == ALIAS_UPDATE_MAX);
	update_all(ALIAS_UPDATE_MAX, P); /* a right less, of many: all is flushed, once */
	check(usable(ALIAS_UPDATE_MAX) == 0);
	update_all(8, P | RW);
	check(usable(ALIAS_UPDATE_MAX) == 8);
	update_all(8, 0); /* of a few: these frames are */
	check(usable(8) == 0);
	update_all(ALIAS_UPDATE_MAX, P | RW); /* some new, the others a right more */
	check(usable(ALIAS_UPDATE_MAX) == ALIAS_UPDATE_MAX);
}

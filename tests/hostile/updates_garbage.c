/* SPDX-License-Identifier: MIT */
/*
 * Garbage in every field of a call for updates: how many, where they are listed, which entry, its
 * value; and lists that lie in a table, in the request page, in themselves.
 *
 * dirty, scan, log: the call is refused as a whole, as tables are not write-protected. strict: the
 * call, or the update, is refused with the status that says why, and those beside it are served.
 */
#include "updates.h"

static void bad_calls(void)
{
	static const uint64_t frames[] = {1ull << 40, 1ull << 52, 1ull << 63, UINT64_MAX,
					  VIRTIO_GPA >> 12};
	static const uint32_t counts[] = {0, ALIAS_UPDATE_MAX + 1, 1u << 31, UINT32_MAX};

	put_update(0, gpa_of(tree.vm_l1), 0x1000);
	for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		check(update_from(frames[i], 1) == ALIAS_BAD_CALL);
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		check(update(counts[i]) == ALIAS_BAD_CALL);
	check(update_answer(0) == ALIAS_PENDING && tree.vm_l1[0] == 0);
}

static void bad_entries(void)
{
	static const uint64_t places[] = {1ull << 45, UINT64_MAX, -8ull, VIRTIO_GPA, 1, 7};

	for (unsigned i = 0; i < 6; i++)
		put_update(i, places[i], 0);
	put_update(6, SHARED_GPA, 0);
	put_update(7, gpa_of(spare[0]), 0);
	put_update(8, gpa_of(&tree.vm_l1[3]), 0x3000);
	put_update(9, gpa_of(tree.vm_l1), entry(tree.vm_l1, P | RW));
	put_update(10, gpa_of(&tree.vm_l1[4]), 0x4000);
	page_of(0)->update_status[10] = 0xff;
	check(update(11) == ALIAS_OK);
	for (unsigned i = 0; i < 6; i++)
		check(update_answer(i) == ALIAS_BAD_FRAME);
	check(update_answer(6) == ALIAS_BAD_STATE && update_answer(7) == ALIAS_BAD_STATE);
	check(update_answer(8) == ALIAS_OK && update_answer(9) == ALIAS_MAPS_TABLE);
	check(update_answer(10) == 0xff);
	check(tree.vm_l1[3] == 0x3000 && tree.vm_l1[0] == 0 && tree.vm_l1[4] == 0);
}

/* Wherever the list is, it is only read. */
static void strange_lists(void)
{
	page_of(0)->update_status[0] = ALIAS_PENDING;
	check(update_from(pfn_of(page_of(0)), 1) == ALIAS_OK);
	page_of(0)->update_status[0] = ALIAS_PENDING;
	check(update_from(pfn_of(tree.vm_l1), 1) == ALIAS_OK);
	put_update(0, gpa_of(&updates[1]), 0);
	put_update(1, gpa_of(&tree.vm_l1[5]), 0x5000);
	check(update(2) == ALIAS_OK);
	check(update_answer(0) == ALIAS_BAD_STATE && update_answer(1) == ALIAS_OK);
}

static void hostile_main(void)
{
	if (!tables_write_protected()) {
		put_update(0, gpa_of(tree.vm_l1), 0);
		check(update(1) == ALIAS_BAD_CALL);
		return;
	}
	bad_calls();
	bad_entries();
	strange_lists();
}

/* SPDX-License-Identifier: MIT */
/*
 * Garbage in every field of a batch.
 *
 * Every --track: the call, or the entry, is refused with the status that says why; nothing else
 * changes, and the good entries beside it are served.
 */
#include "hostile.h"

static void bad_calls(void)
{
	static const uint32_t counts[] = {0, ALIAS_BATCH_MAX + 1, 1u << 16, 1u << 31, UINT32_MAX};

	put(0, ALIAS_OP_PIN, pfn_of(spare[0]), 1);
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		check(call(counts[i], 0) == ALIAS_BAD_CALL);
	for (unsigned bit = 2; bit < 32; bit++) /* those beside ALIAS_BATCH_* */
		check(call(1, 1u << bit) == ALIAS_BAD_CALL);
	check(answer(0) == ALIAS_PENDING);
}

static void bad_entries(void)
{
	static const unsigned ops[] = {0, 6, 0x101, 0x8000, 0xffff};
	static const unsigned levels[] = {0, 5, 0x101, 0x8001, 0xffff};

	for (unsigned i = 0; i < 5; i++) {
		check(one(ops[i], pfn_of(spare[0]), 1, 0) == ALIAS_BAD_OP);
		check(one(ALIAS_OP_PIN, pfn_of(spare[0]), levels[i], 0) == ALIAS_BAD_LEVEL);
	}
	/* Who says that an entry is done is done with it. */
	for (unsigned i = 0; i < ALIAS_BATCH_MAX; i++) {
		put(i, ALIAS_OP_PIN, pfn_of(spare[0]), 1);
		page_of(0)->ops[i].status = 0x80000000u + i;
	}
	put(77, ALIAS_OP_PIN, pfn_of(spare[1]), 1);
	check(call(ALIAS_BATCH_MAX, 0) == ALIAS_OK);
	for (unsigned i = 0; i < ALIAS_BATCH_MAX; i++)
		check(answer(i) == (i == 77 ? ALIAS_OK : 0x80000000u + i));
	check(unpin(spare[0]) == ALIAS_BAD_STATE && unpin(spare[1]) == ALIAS_OK);
}

static void hostile_main(void)
{
	bad_calls();
	bad_entries();
}

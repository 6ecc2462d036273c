/* SPDX-License-Identifier: MIT */
/*
 * One store of 16 bytes to two tables that lie side by side: it links the one, which nothing has
 * linked so far, and has it map a pinned table writable. Each half alone breaks no rule.
 *
 * dirty, scan, log: done, and reported with its address at the next sync. strict: neither half is
 * done.
 */
#include "hostile.h"

static void store_both(uint64_t *e, uint64_t first, uint64_t second, uint64_t va)
{
	uint64_t values[] = {first, second};
	bool done = false;

	TRY(done, "movups (%2), %%xmm0; movups %%xmm0, (%1)", "r"(e), "r"(values));
	for (unsigned i = 0; i < 2 && common()->logging; i++)
		log_change(gpa_of(&e[i]), 0, values[i]);
	check(done == !tables_write_protected());
	for (unsigned i = 0; i < 2 && tables_write_protected(); i++)
		check(((volatile uint64_t *)e)[i] == 0);
	host_sync();
	check(try_store(va, 0) == !tables_write_protected());
	require(set(&e[0], 0) && set(&e[1], 0));
	host_sync();
}

static void hostile_main(void)
{
	static const unsigned levels[] = {1, 2, 1};
	uint64_t bad = entry(spare[7], P | RW);

	require(pin(spare[7], 1) == ALIAS_OK);
	for (unsigned i = 0; i < 3; i++)
		require(pin(spare[i], levels[i]) == ALIAS_OK);
	require(set(&tree.vm_l3[1], entry(spare[1], P | RW)));
	store_both(&spare[0][511], bad, entry(spare[0], P | RW), VM_BASE + 0x401ff000);
	store_both(&spare[1][511], entry(spare[2], P | RW), bad, VM_BASE + 0x7fe00000);
}

/* SPDX-License-Identifier: MIT */
/*
 * One store to a page table and to memory beside it that is none, from either side.
 *
 * dirty, scan, log: done, and what breaks a rule is reported with its address at the next sync.
 * strict: exact or refused, and the table never written against a rule. To an L1 table it is
 * refused, and neither half done. A table above, which KVM itself shadows, KVM's emulation
 * writes: what is allowed is exact; what isn't ends the guest (store_half.c).
 */
#include "hostile.h"

#define OLD 0x1111111111111111ull

/* Half of the store goes to the first or last entry of the table, half to what lies beside it. */
static bool straddle(uint64_t *table, bool last, uint64_t half)
{
	uint64_t *e = last ? table + 511 : table, *plain = last ? table + 512 : table - 1;
	uint64_t value = last ? half | 0x2222222200000000 : half << 32 | 0x22222222;
	uint64_t before = *(volatile uint64_t *)e, now;
	bool done = false, exact;

	*plain = OLD;
	TRY(done, "movq %2, (%1)", "r"((char *)(last ? plain : table) - 4), "r"(value));
	now = *(volatile uint64_t *)e;
	if (common()->logging)
		log_change(gpa_of(e), before, now);
	exact = (last ? now >> 32 : now & ~0x60ull) == half && *(volatile uint64_t *)plain != OLD;
	check(done ? exact : now == before && *(volatile uint64_t *)plain == OLD);
	return done;
}

static void hostile_main(void)
{
	require(pin(spare[1], 1) == ALIAS_OK && pin(spare[4], 2) == ALIAS_OK);
	require(pin(spare[6], 1) == ALIAS_OK);
	require(set(&tree.vm_l2[1], entry(spare[1], P | RW)));
	require(set(&tree.vm_l3[1], entry(spare[4], P | RW)));
	require(set(&spare[4][3], entry(spare[6], P | RW)));
	require(set(&spare[6][0], 0x400000 | P | RW));
	require(try_store(VM_BASE + (1ull << 30) + (3ull << 21), 0));
	for (unsigned last = 0; last < 2; last++) {
		check(straddle(spare[1], last, 0x1000) == !tables_write_protected());
		check(straddle(spare[4], last, 0x1000));
	}
	require(set(&spare[1][0], 0) && set(&spare[4][0], 0));
	check(straddle(spare[1], false, entry(spare[6], P | RW)) == !tables_write_protected());
	check(tables_write_protected() || straddle(spare[4], false, 0x2000 | P | RW | PS));
	host_sync();
}

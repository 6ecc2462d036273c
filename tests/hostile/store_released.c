/* SPDX-License-Identifier: MIT */
/*
 * One store to a page table and to an address where nothing is, emulated by KVM; the table is
 * unpinned before the host gets to look at it.
 *
 * strict: done or refused, and nothing written where no memory is. The others have nothing to do
 * with stores.
 */
#include "hostile.h"

#define NOWHERE (1ull << 38)

static uint64_t *const table = spare[4];
static bool done;

static void other(void)
{
	uint64_t value = 0x2222222233333333;

	require(*(volatile uint64_t *)&table[3] & P);
	step_arm();
	TRY(done, "movq %2, 4(%1)", "r"(&table[511]), "r"(value));
	next_turn(1);
}

/* The direct map in small pages, of which the one beside the table leads nowhere. */
static void make_hole(void)
{
	for (unsigned i = 0; i < 512; i++)
		spare[0][i] = i * 0x1000ull | P | RW;
	spare[0][pfn_of(table) + 1] = NOWHERE | P | RW;
	require(pin(spare[0], 1) == ALIAS_OK);
	require(set(&tree.direct_l2[0], entry(spare[0], P | RW)));
}

static void hostile_main(void)
{
	if (!tables_write_protected())
		return;
	require(pin(table, 2) == ALIAS_OK && pin(spare[6], 1) == ALIAS_OK);
	require(set(&table[3], entry(spare[6], P | RW)) && set(&spare[6][0], 0x400000 | P | RW));
	require(set(&tree.vm_l3[1], entry(table, P | RW)));
	make_hole();
	require(try_store(VM_BASE + (1ull << 30) + (3ull << 21), 0));
	start_cpu1(other);
	step_wait();
	require(set(&tree.vm_l3[1], 0) && unpin(table) == ALIAS_OK);
	step_go();
	wait_turn(1);
	check(table[511] == (done ? 0x33333333ull << 32 : 0));
}

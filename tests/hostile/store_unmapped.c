/* SPDX-License-Identifier: MIT */
/*
 * One store to a page table and to an address beside it that is not mapped: a page fault, as
 * without the host, and nothing of it is done.
 */
#include "hostile.h"

#define OLD   0x5550ull /* not present */
#define NONE  UINT64_MAX
#define WRITE 2u /* error code: not present, a write, by the kernel */

uint64_t fault_error = NONE, fault_va;
extern const char on_page_fault[];

__asm__("on_page_fault:\n\t"
	"mov (%rsp), %rax\n\t"
	"mov %rax, fault_error(%rip)\n\t"
	"mov %cr2, %rax\n\t"
	"mov %rax, fault_va(%rip)\n\t"
	"jmp on_tried_fault");

/* The direct map in small pages, without those at both sides of spare[2] and spare[4]. */
static void make_holes(void)
{
	for (unsigned i = 0; i < 512; i++)
		spare[0][i] = i * 0x1000ull | P | RW;
	for (unsigned i = 1; i <= 5; i += 2)
		spare[0][pfn_of(spare[i])] = 0;
	require(pin(spare[0], 1) == ALIAS_OK);
	require(set(&tree.direct_l2[0], entry(spare[0], P | RW)));
	load_cr3(gpa_of(tree.root));
}

static void expect_fault(bool done, const void *va)
{
	check(!done);
	check(fault_error == WRITE);
	check(fault_va == (uint64_t)va);
	fault_error = NONE;
}

/* Stores that begin in the hole before the table, and such that end in the one behind it. */
static void straddle(uint64_t *table)
{
	char *begin = (char *)table, *end = (char *)(table + 512);
	uint64_t value[2] = {0x2222222233333333, 0x2222222233333333};
	bool done = false;

	require(set(&table[0], OLD) && set(&table[511], OLD));
	TRY(done, "movq %2, (%1)", "r"(begin - 4), "r"(value[0]));
	expect_fault(done, begin - 4);
	TRY(done, "movq %2, (%1)", "r"(end - 4), "r"(value[0]));
	expect_fault(done, end);
	TRY(done, "movw %w2, (%1)", "r"(end - 1), "r"(value[0]));
	expect_fault(done, end);
	TRY(done, "movsq", "D"(end - 6), "S"(value));
	expect_fault(done, end);
	TRY(done, "movups (%2), %%xmm0; movups %%xmm0, (%1)", "r"(end - 4), "r"(value));
	expect_fault(done, end);
	/* (A processor that is emulated may store the limit before it faults for the base.) */
	if (tables_write_protected()) {
		TRY(done, "sgdt (%1)", "r"(end - 4));
		expect_fault(done, end);
	}
	check(table[0] == OLD && table[511] == OLD);
}

static void hostile_main(void)
{
	set_gate(14, on_page_fault);
	require(pin(spare[2], 1) == ALIAS_OK);
	require(pin(spare[4], 2) == ALIAS_OK && pin(spare[6], 1) == ALIAS_OK);
	require(set(&spare[4][3], entry(spare[6], P | RW)) && set(&spare[6][0], 0x400000 | P | RW));
	require(set(&tree.vm_l3[1], entry(spare[4], P | RW)));
	make_holes();
	straddle(spare[2]);
	/* KVM shadows the table itself, and emulates what is stored there. */
	require(try_store(VM_BASE + (1ull << 30) + (3ull << 21), 0));
	straddle(spare[4]);
}

/* SPDX-License-Identifier: MIT */
/*
 * With CR0.WP clear the kernel stores through mappings that are read-only. A mapping of a pinned
 * table may be, so it is one by which its entries are changed.
 *
 * strict: a store to ordinary memory is done, as by a processor; one to a table is judged like any
 * other.
 */
#include "hostile.h"

#define CR0_WP (1ull << 16)

static void clear_wp(void)
{
	uint64_t cr0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 & ~CR0_WP) : "memory");
}

static void hostile_main(void)
{
	const uint64_t in_l1 = vm_va(1) + 9 * 8, in_l2 = vm_va(2) + 9 * 8;

	require(set(&tree.vm_l1[0], entry(spare[0], P)));
	require(set(&tree.vm_l1[1], entry(tree.vm_l1, P)));
	require(set(&tree.vm_l1[2], entry(tree.vm_l2, P)));
	check(!try_store(vm_va(0), 5));
	clear_wp();
	check(try_store(vm_va(0), 5) && spare[0][0] == 5);
	check(try_store(in_l1, entry(spare[1], P)) && tree.vm_l1[9] >> 12 == pfn_of(spare[1]));
	check(try_store(in_l1, 0) && tree.vm_l1[9] == 0);
	check(!try_store(in_l1, entry(tree.vm_l1, P | RW)) && tree.vm_l1[9] == 0);
	check(!try_store(in_l2, entry(tree.vm_l1, P | RW | PS)) && tree.vm_l2[9] == 0);
	check(!try_store(in_l2, 0 | P | RW | PS) && tree.vm_l2[9] == 0);
}

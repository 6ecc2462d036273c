/* SPDX-License-Identifier: MIT */
/*
 * XSA-292: a load of CR3, with PCIDs and the no-flush bit, taken for a flush. The other vCPU does
 * that after it has dropped a mapping; and exits, for whatever.
 *
 * Every --track: a load of CR3 and an exit are no evidence: that vCPU is flushed before the grant.
 */
#include "hostile.h"

#define CPUID_1_ECX_PCID (1u << 17)
#define CR4_PCIDE        (1ull << 17)

static void switch_and_back(void)
{
	uint32_t eax = 1, ebx, ecx, edx;
	uint64_t cr3 = gpa_of(tree.root), cr4;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	if (ecx & CPUID_1_ECX_PCID) {
		__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_PCIDE) : "memory");
		load_cr3(cr3 | 1);
		cr3 |= 1ull << 63;
	}
	load_cr3(cr3);
}

static void other(void)
{
	wait_turn(1);
	map_and_use(0, spare[0], 0);
	clear(&tree.vm_l1[0]);
	switch_and_back();
	say("");
	outb(0x80, 0);
	next_turn(2);
	wait_turn(3);
}

static void hostile_main(void)
{
	host_sync();
	start_cpu1(other);
	next_turn(1);
	wait_turn(2);
	check(pin(spare[0], 1) == ALIAS_OK);
}

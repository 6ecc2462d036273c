/* SPDX-License-Identifier: MIT */
/*
 * The guest steps over stores, to an ordinary page, to an L1, and to an L2 that KVM shadows.
 *
 * strict: each step's exception comes right after the store, as it does elsewhere.
 */
#include "hostile.h"

#define DR6_BS (1ull << 14)

static __attribute__((used)) uint64_t first_rip; /* where the first came */
static __attribute__((used)) unsigned nr_steps;
extern const char on_step[], after_store[];

__asm__(".text\n"
	"on_step:\n"
	"	push %rax\n"
	"	cmpl $0, nr_steps(%rip)\n"
	"	jne 1f\n"
	"	mov 8(%rsp), %rax\n"
	"	mov %rax, first_rip(%rip)\n"
	"1:	incl nr_steps(%rip)\n"
	"	pop %rax\n"
	"	iretq\n");

/* From the store to the end of the flags' restoring. Returns how many steps that were. */
static __attribute__((noinline, noclone)) unsigned step_over(uint64_t *to, uint64_t value)
{
	uint64_t dr6 = 0;

	nr_steps = 0;
	__asm__ volatile("mov %0, %%dr6" : : "r"(dr6));
	__asm__ volatile("pushfq\n\t"
			 "orq $0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "movq %1, (%0)\n\t"
			 ".globl after_store\n"
			 "after_store:\n\t"
			 "nop\n\t"
			 "pushfq\n\t"
			 "andq $~0x100, (%%rsp)\n\t"
			 "popfq"
			 :
			 : "r"(to), "r"(value)
			 : "memory", "cc");
	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	check(dr6 & DR6_BS);
	check(first_rip == (uint64_t)after_store);
	return nr_steps;
}

static void hostile_main(void)
{
	uint64_t pte = 0x400000 | P;
	unsigned steps;

	set_gate(1, on_step);
	require(set(&tree.vm_l1[0], entry(spare[7], P | RW)) && try_store(vm_va(0), 0));
	steps = step_over(&spare[5][3], pte);
	if (common()->logging)
		return; /* what follows has no records */
	check(step_over(&tree.vm_l1[3], pte) == steps);
	check((tree.vm_l1[3] & ~0x60ull) == pte);
	check(step_over(&tree.vm_l2[200], pte | PS) == steps);
	check((tree.vm_l2[200] & ~0x60ull) == (pte | PS));
}

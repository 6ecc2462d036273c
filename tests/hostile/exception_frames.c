/* SPDX-License-Identifier: MIT */
/*
 * The stack lies in a pinned table when an exception comes: the frame that the processor pushes is
 * a store like any other. The word of the command line says in which, "l1" or "l2".
 *
 * strict: it faults on its way to the handler, as on a stack that is not mapped. That the fault has
 * a stack of its own helps; where it has none the guest ends by a triple fault.
 */
#include "hostile.h"

#define TSS_SELECTOR 0x20u
#define TSS_SIZE     104u

static uint64_t gdt[6];
static uint8_t tss[TSS_SIZE] __attribute__((aligned(16)));
static uint8_t stack[4096] __attribute__((aligned(16)));

/* The runtime's GDT, and a task that has `stack` as its first of the IST. */
static void use_own_stacks(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr = {sizeof(gdt) - 1, (uint64_t)gdt};
	const uint64_t top = (uint64_t)stack + sizeof(stack), at = (uint64_t)tss;

	gdt[1] = 0x00cf9b000000ffff;
	gdt[2] = 0x00af9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	gdt[4] = (TSS_SIZE - 1) | (at & 0xffffff) << 16 | 0x89ull << 40 | (at >> 24 & 0xff) << 56;
	gdt[5] = at >> 32;
	__builtin_memcpy(tss + 0x24, &top, sizeof(top));
	__asm__ volatile("lgdt %0; ltr %w1" : : "m"(gdtr), "r"(TSS_SELECTOR) : "memory");
}

/* An exception with this stack; a fault of the way to its handler goes on here. */
static void fault_on(const uint64_t *end)
{
	__asm__ volatile("lea 1f(%%rip), %%r11\n\t"
			 "movabs $0x7472795f73746f72, %%r10\n\t"
			 "mov %%rsp, %%rbx\n\t"
			 "mov %0, %%rsp\n\t"
			 "ud2\n"
			 "1:\tmov %%rbx, %%rsp\n\t"
			 "xor %%r10d, %%r10d"
			 :
			 : "r"(end)
			 : "rax", "rbx", "r10", "r11", "cc", "memory");
}

/* As on_tried_fault, which this vector's frame lies on another stack for. */
extern const char on_own_stack[];

__asm__(".text\n"
	"on_own_stack:\n\t"
	"add $8, %rsp\n\t"
	"mov %r11, (%rsp)\n\t"
	"mov %rbx, 24(%rsp)\n\t"
	"iretq");

static bool is_empty(const uint64_t *table)
{
	bool empty = true;

	for (unsigned i = 100; i < 128; i++)
		empty &= ((const volatile uint64_t *)table)[i] == 0;
	return empty;
}

static void hostile_main(void)
{
	uint64_t *table = word_is("l1") ? tree.vm_l1 : tree.vm_l2;

	require(word_is("l1") || word_is("l2"));
	require(set(&tree.vm_l1[0], entry(spare[7], P | RW)) && try_store(vm_va(0), 0));
	use_own_stacks();
	set_gate(13, on_own_stack);
	idt[13][0] |= 1ull << 32;
	fault_on(&table[128]);
	check(is_empty(table));
	say("told\n");
	idt[13][0] &= ~(7ull << 32);
	fault_on(&table[128]);
	check(false);
}

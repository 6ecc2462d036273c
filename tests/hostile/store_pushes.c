/* SPDX-License-Identifier: MIT */
/*
 * An instruction that stores twice, a far call with its stack in a table above L1. KVM emulates it
 * and tells of the one store alone; by then it goes on where the call leads. The word of the
 * command line says where the two go: "in", both to the table; "begin" and "end", one of them to
 * the memory beside it.
 *
 * strict: no instruction follows on half of them, so the guest gets no further.
 */
#include "hostile.h"

static uint64_t *const table = spare[4];

struct {
	uint64_t rip;
	uint16_t cs;
} __attribute__((packed)) far_pointer;

extern uint8_t code[8];
extern const char code_done[];

/* What is in `code` finds its stack in rsp, and that of the runtime in rbp. */
__asm__(".data\n\t"
	".balign 8\n" /* the return address is even: an entry that is not present */
	"code:\n\t"
	".skip 8, 0x90\n\t"
	"code_done:\n\t"
	"mov %rbp, %rsp\n\t"
	"pop %rbp\n\t"
	"ret\n"
	".text\n"
	"run_code:\n\t"
	"push %rbp\n\t"
	"mov %rsp, %rbp\n\t"
	"mov %rdi, %rsp\n\t"
	"lea far_pointer(%rip), %rdx\n\t"
	"jmp code");

void run_code(const uint64_t *stack);

static void set_code(const uint8_t *bytes, unsigned nr)
{
	for (unsigned i = 0; i < sizeof(code); i++)
		((volatile uint8_t *)code)[i] = i < nr ? bytes[i] : 0x90;
}

/* Has KVM shadow the table, and map it for reading. */
static void use_table(void)
{
	require(try_store(VM_BASE + (1ull << 30) + (3ull << 21), 0));
	require(*(volatile uint64_t *)&table[3] & P);
}

/* KVM does without emulation as long as it can: it emulates an instruction that faults where the
 * last one has, at the same address. So one goes before that is no move, which it always emulates.
 */
static void hostile_main(void)
{
	static const uint8_t far_call[] = {0x2e, 0x48, 0xff, 0x1a}; /* cs rex.w lcall *(%rdx) */
	uint8_t store[] = {0x80, 0x74, 0x24, 0xf8, 0x20};           /* xorb $0x20, -8(%rsp) */
	uint64_t *stack = word_is("begin") ? table + 1 : word_is("end") ? table + 513 : table + 102;
	volatile uint64_t *first = stack - 1;

	require(word_is("begin") || word_is("end") || word_is("in"));
	require(pin(table, 2) == ALIAS_OK && pin(spare[6], 1) == ALIAS_OK);
	require(set(&tree.vm_l3[1], entry(table, P | RW)));
	require(set(&table[3], entry(spare[6], P | RW)) && set(&spare[6][0], 0x400000 | P | RW));
	if (word_is("end")) {
		store[3] = 0xf0; /* the first push goes to no table */
		first--;
	}
	set_code(store, sizeof(store));
	use_table();
	run_code(stack);
	require(*first == 0x20);
	set_code(far_call, sizeof(far_call));
	use_table();
	far_pointer.rip = (uint64_t)code_done;
	far_pointer.cs = 0x10;
	run_code(stack);
	check(stack[-1] == 0x10 && stack[-2] == (uint64_t)code + sizeof(far_call));
}

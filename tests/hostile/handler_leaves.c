/* SPDX-License-Identifier: MIT */
/*
 * The handler of an upcall never comes back: it leaves for where the call was made from. Later the
 * same frame is asked for again, by the very same `out`, for the same and for something else.
 *
 * Every --track: each of these calls is another one, and has an upcall of its own when a mapping is
 * met; only what comes back by IRETQ is the second try of what was there before.
 */
#include "hostile.h"

uint64_t left_rsp, left_rip;

/* Back to where try_pin() was called, as if that had returned. */
static void leave(void)
{
	__asm__ volatile("mov left_rsp(%rip), %rsp\n\t"
			 "jmp *left_rip(%rip)");
}

static void purge(void)
{
	set(&tree.vm_l1[0], 0);
	load_cr3(gpa_of(tree.root));
	common()->flushed = common()->cleared;
}

static void purge_nothing(void)
{
	static unsigned times;

	check(++times == 1);
}

/* Always the same `out`. */
static __attribute__((noinline)) unsigned ask(unsigned op, unsigned arg)
{
	return one(op, pfn_of(spare[0]), arg, ALIAS_BATCH_UPCALL);
}

static __attribute__((noinline)) void ask_and_leave(unsigned op, unsigned arg)
{
	upcall = leave;
	__asm__ volatile("push %%rbx\n\t"
			 "push %%rbp\n\t"
			 "mov %%rsp, left_rsp(%%rip)\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "mov %%rax, left_rip(%%rip)\n\t"
			 "call *%2\n\t"
			 "1: pop %%rbp\n\t"
			 "pop %%rbx"
			 : "+D"(op), "+S"(arg)
			 : "r"(ask)
			 : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			   "r15", "memory");
	upcall = purge;
}

static void check_asked_anew(unsigned op, unsigned arg)
{
	unsigned before = nr_upcalls;

	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	ask_and_leave(ALIAS_OP_PIN, 1);
	check(nr_upcalls == before + 1);
	check(ask(op, arg) == ALIAS_OK);
	check(nr_upcalls == before + 2);
}

static void hostile_main(void)
{
	check_asked_anew(ALIAS_OP_PIN, 1);
	check(unpin(spare[0]) == ALIAS_OK);
	check_asked_anew(ALIAS_OP_MEMTYPE, 3);
	check(ask(ALIAS_OP_MEMTYPE, 0) == ALIAS_OK);
	for (unsigned i = 0; i < 20; i++) {
		check_asked_anew(ALIAS_OP_PIN, 1);
		check(unpin(spare[0]) == ALIAS_OK);
	}
	/* One that comes back, and has purged nothing, is refused. */
	require(set(&tree.vm_l1[0], entry(spare[0], P | RW)));
	ask_and_leave(ALIAS_OP_PIN, 1);
	upcall = purge_nothing;
	check(ask(ALIAS_OP_PIN, 1) == ALIAS_HAS_ALIAS);
}

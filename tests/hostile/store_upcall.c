/* SPDX-License-Identifier: MIT */
/*
 * Links tables that have a stale alias, by stores above L1, which KVM emulates. What is before each
 * store ends with a byte that would be a prefix.
 *
 * strict: the store comes again after the upcall, from its own first byte, and is done.
 */
#include "hostile.h"

static uint64_t *const table = spare[4];
static unsigned at;

static void purge(void)
{
	set(&tree.vm_l1[at], 0);
}

#define STORE(code)                                                                                \
	do {                                                                                       \
		uint64_t link = entry(spare[at], P | RW);                                          \
		uint64_t *e = &table[8 + at];                                                      \
		unsigned before = nr_upcalls;                                                      \
		bool done = false;                                                                 \
		require(set(&tree.vm_l1[at], entry(spare[at], P | RW)) &&                          \
			try_store(vm_va(at), 0));                                                  \
		TRY(done, code, "r"(e), "r"(link));                                                \
		check(nr_upcalls == before + 1 && done);                                           \
		check((*(volatile uint64_t *)e & ~0x60ull) == link);                               \
		at++;                                                                              \
	} while (0)

static void hostile_main(void)
{
	uint64_t va = VM_BASE + (1ull << 30) + (3ull << 21);

	if (!tables_write_protected())
		return;
	require(pin(table, 2) == ALIAS_OK && pin(spare[6], 1) == ALIAS_OK);
	require(set(&tree.vm_l3[1], entry(table, P | RW)));
	require(set(&table[3], entry(spare[6], P | RW)));
	require(set(&spare[6][0], 0x400000 | P | RW) && try_store(va, 0)); /* KVM shadows it */
	upcall = purge;
	page_of(0)->flags = ALIAS_BATCH_UPCALL;
	STORE("nop\n\tmovq %2, (%1)");
	STORE("and $-16, %%rax\n\tmovq %2, (%1)");    /* lock */
	STORE("and $0x66, %%eax\n\tmovnti %2, (%1)"); /* the size of operands */
	STORE("and $0x3e, %%eax\n\tmovq %2, (%1)");   /* a segment */
}

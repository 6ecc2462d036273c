/* SPDX-License-Identifier: MIT */
/*
 * Writes page tables with every kind of store. Each is done to a pinned table and to ordinary
 * memory, and must leave the same in both, in registers and in flags. If tables are
 * write-protected, the host does the store to the table, and refuses it if it breaks a rule. The
 * boot CPU alone, except for the atomic ones.
 */
#include <stdbool.h>
#include <string.h>

#include "blk.h"
#include "console.h"
#include "flush.h"
#include "frame.h"
#include "panic.h"
#include "pgtable.h"
#include "pin.h"
#include "pte_updates.h"
#include "smp.h"
#include "trap.h"
#include "vmap.h"
#include "workload.h"

#define CR4_OSFXSR (1ul << 9)
#define FREE_L4    5u /* of the kernel's root: in the user's half, which the kernel does not use */

/* Where to go on after a refused store; 0: none is expected. */
static uint64_t resume_at;
static unsigned refused;

static void general_protection(struct trap_frame *frame)
{
	if (!resume_at)
		panic("#GP at RIP %#lx, where no store was to be refused", frame->rip);
	refused++;
	frame->rip = resume_at;
}

/* What a store starts with and leaves behind. */
struct registers {
	uint64_t rax, rcx, rdx, flags;
};

/* An instruction that stores at [rdi], and may use rax, rcx, rdx and rsi, which is &source. */
#define STORE(name, code)                                                                          \
	static void name(void *rdi, const void *rsi, struct registers *r)                          \
	{                                                                                          \
		__asm__ volatile("cld\n\t" code "\n\tpushfq\n\tpop %3"                             \
				 : "+a"(r->rax), "+c"(r->rcx), "+d"(r->rdx), "=r"(r->flags),       \
				   "+D"(rdi), "+S"(rsi)                                            \
				 :                                                                 \
				 : "memory", "cc");                                                \
	}

STORE(mov_8, "movq %%rax, (%%rdi)")
STORE(mov_4, "movl %%eax, (%%rdi)")
STORE(mov_2, "movw %%ax, 2(%%rdi)")
STORE(mov_1, "movb %%ah, 3(%%rdi)")
STORE(mov_immediate, "movq $-0x7f00, (%%rdi)")
STORE(across_entries, "movq %%rax, 4(%%rdi)")
STORE(sse, "movups (%%rsi), %%xmm0; movups %%xmm0, (%%rdi)")
STORE(sse_across_entries, "movups (%%rsi), %%xmm0; movups %%xmm0, 2(%%rdi)")
STORE(exchange, "xchgq %%rdx, (%%rdi)")
STORE(compare_exchange, "lock cmpxchgq %%rdx, (%%rdi)")
STORE(compare_fails, "lock cmpxchgl %%ecx, 4(%%rdi)")
STORE(exchange_add, "lock xaddq %%rdx, (%%rdi)")
STORE(bit_or, "lock orq %%rdx, (%%rdi)")
STORE(bit_and, "andl %%ecx, 4(%%rdi)")
STORE(bit_xor, "xorw %%cx, 6(%%rdi)")
STORE(subtract, "lock subq $0x1000, (%%rdi)")
STORE(complement, "notl 4(%%rdi)")
STORE(set_bit, "lock btsq $9, (%%rdi)")
STORE(clear_bit, "lock btrq $62, (%%rdi)")
STORE(fill, "movl $5, %%ecx; rep stosq")
STORE(copy, "movl $3, %%ecx; rep movsq")

static const struct {
	const char *name;
	void (*store)(void *rdi, const void *rsi, struct registers *r);
} stores[] = {
	{"mov, 8 bytes", mov_8},
	{"mov, 4 bytes", mov_4},
	{"mov, 2 bytes", mov_2},
	{"mov, 1 byte", mov_1},
	{"mov, immediate", mov_immediate},
	{"mov, across two entries", across_entries},
	{"movups", sse},
	{"movups, across three entries", sse_across_entries},
	{"xchg", exchange},
	{"lock cmpxchg", compare_exchange},
	{"lock cmpxchg that fails", compare_fails},
	{"lock xadd", exchange_add},
	{"lock or", bit_or},
	{"and", bit_and},
	{"xor", bit_xor},
	{"lock sub", subtract},
	{"not", complement},
	{"lock bts", set_bit},
	{"lock btr", clear_bit},
	{"rep stos", fill},
	{"rep movs", copy},
};

/* Entries that are not present, so that they read back as they were written. */
static bool stores_agree(unsigned i, uint64_t *table, uint64_t *plain)
{
	static const uint64_t source[] = {0x1122334455667700, 0x99aabbccddeeff00,
					  0x8000000000000000};
	struct registers a = {0x5566778899aabb00, 0x11223300, 0x6655443322110000, 0}, b = a;

	for (unsigned k = 0; k < 8; k++)
		set_pte(&plain[k], 0x0123456789abcd00 + k * 0x100);
	plain[1] = a.rax; /* for the cmpxchg that doesn't fail */
	for (unsigned k = 0; k < 8; k++)
		set_pte(&table[k], plain[k]);
	stores[i].store(&table[1], source, &a);
	stores[i].store(&plain[1], source, &b);
	if (!memcmp(table, plain, PAGE_SIZE) && !memcmp(&a, &b, sizeof(a)))
		return true;
	kprintf("stores: %s: %#lx %#lx %#lx, but %#lx %#lx %#lx in ordinary memory\n",
		stores[i].name, table[1], table[2], table[3], plain[1], plain[2], plain[3]);
	kprintf("stores: rax %#lx rcx %#lx rdx %#lx flags %#lx, but %#lx %#lx %#lx %#lx\n", a.rax,
		a.rcx, a.rdx, a.flags, b.rax, b.rcx, b.rdx, b.flags);
	return false;
}

static bool all_same(uint64_t table)
{
	uint64_t plain = alloc_table(), cr4 = read_cr4();
	bool good = plain != NO_FRAME;

	write_cr4(cr4 | CR4_OSFXSR);
	for (unsigned i = 0; good && i < sizeof(stores) / sizeof(stores[0]); i++)
		good = stores_agree(i, pfn_to_virt(table), pfn_to_virt(plain));
	write_cr4(cr4);
	free_table(plain);
	return good;
}

#define ROUNDS 40u

/* Adds to an entry again and again, with each atomic instruction. */
static void add_many(void *arg)
{
	uint64_t *entry = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t seen = get_pte(entry);

		__atomic_fetch_add(entry, 0x1000, __ATOMIC_SEQ_CST); /* lock xadd, lock add */
		while (!__atomic_compare_exchange_n(entry, &seen, seen + 0x1000, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
	}
}

/* All CPUs at once: no addition is lost. The entry is 0 before and after, and never present. */
static bool add_up(uint64_t *entry)
{
	uint64_t sum;

	smp_run_on_all(add_many, entry);
	sum = get_pte(entry);
	set_pte(entry, 0);
	if (sum == 2ul * 0x1000 * ROUNDS * nr_cpus_online())
		return true;
	kprintf("stores: %u CPUs have added up to %#lx\n", nr_cpus_online(), sum);
	return false;
}

/* Is a store of this value refused, and the entry as it was? */
static bool is_refused(void *at, uint64_t value)
{
	uint64_t before = *(volatile uint64_t *)at;
	unsigned count = refused;

	__asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; movq %2, (%1); 1:"
			 : "=m"(resume_at)
			 : "r"(at), "r"(value)
			 : "rax", "memory");
	resume_at = 0;
	return refused == count + 1 && *(volatile uint64_t *)at == before;
}

/* Two entries in one store, of which the second is forbidden: neither is written, and the frame
 * that the first would have mapped can become a page table. */
static bool half_is_refused(pte_t *entries, uint64_t table)
{
	uint64_t frame = alloc_table(), cr4 = read_cr4(), count = refused;
	pte_t before[] = {get_pte(&entries[0]), get_pte(&entries[1])};
	pte_t values[] = {make_pte(frame, PTE_KERNEL), make_pte(table, PTE_KERNEL)};

	/* By then the host has synced what is new, and compares it no more. */
	for (unsigned i = 0; i < 3; i++)
		if (pin_table(frame, 1) || unpin_table(frame))
			return false;
	write_cr4(cr4 | CR4_OSFXSR);
	__asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; movups (%2), %%xmm0;"
			 "movups %%xmm0, (%1); 1:"
			 : "=m"(resume_at)
			 : "r"(entries), "r"(values)
			 : "rax", "memory");
	resume_at = 0;
	write_cr4(cr4);
	if (refused != count + 1 || memcmp(entries, before, sizeof(before)) ||
	    pin_table(frame, 1) || unpin_table(frame))
		return false;
	free_table(frame);
	return true;
}

/* A pinned table can't be made writable in any way. */
static bool rules_hold(uint64_t table, uint64_t loose)
{
	uint64_t data = alloc_frame();
	void *buffer = data == NO_FRAME ? NULL : vmap(&data, 1, PTE_KERNEL);
	pte_t *pte = buffer ? walk_kernel((uint64_t)buffer, false) : NULL;
	pte_t *root = pfn_to_virt(kernel_root_pfn());
	bool good = pte && is_refused(pte, make_pte(table, PTE_KERNEL)) &&
		    half_is_refused(pte, table) &&
		    is_refused(&root[FREE_L4], make_pte(table, PTE_TABLE | PTE_US)) &&
		    is_refused(&root[FREE_L4], make_pte(1ul << 38, PTE_TABLE | PTE_US)) &&
		    is_refused(&root[FREE_L4], make_pte(loose, PTE_TABLE | PTE_US | PTE_PS));

	if (buffer)
		vunmap(buffer);
	return good;
}

/* A device is asked to read into the table, part of a request that begins in ordinary memory. */
static bool device_is_kept_off(uint64_t table)
{
	uint64_t data = alloc_frame();
	struct blk_seg segs[] = {{data << PAGE_SHIFT, BLK_SECTOR},
				 {table << PAGE_SHIFT, PAGE_SIZE}};
	uint64_t *entries = pfn_to_virt(table);
	bool good;

	if (!blk_present())
		return true;
	set_pte(&entries[7], 0x700);
	good = blk_read(0, segs, 2) == BLK_ERROR && get_pte(&entries[7]) == 0x700;
	/* The device goes on working, and the disk is what it was. */
	return good && blk_read(0, segs, 1) == BLK_OK;
}

/* A link to a table that isn't pinned pins it; a stale alias of it is purged on the way. It is
 * read back as accessed, as no walk can set that bit. */
static bool link_pins(uint64_t table, bool atomic)
{
	pte_t *entry = (pte_t *)pfn_to_virt(kernel_root_pfn()) + FREE_L4, none = 0;
	pte_t link = make_pte(table, (PTE_TABLE | PTE_US) & ~PTE_A);
	struct pin_req pin = {.pfn = table, .level = 3, .op = PIN_OP_PIN};
	struct pin_refusal why;
	void *alias;

	if (flush_strategy()->on_alias) {
		alias = vmap(&table, 1, PTE_KERNEL);
		if (!alias)
			return false;
		vunmap(alias);
	}
	if (!atomic)
		set_pte(entry, link);
	else if (!__atomic_compare_exchange_n(entry, &none, link, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE))
		return false;
	/* It is pinned already now, and stays so until it is unlinked. */
	if (get_pte(entry) != (link | PTE_A) || !pin_batch_try(&pin, 1, &why) ||
	    why.status != ALIAS_BAD_STATE)
		return false;
	set_pte(entry, 0);
	return !unpin_table(table);
}

static int run_stores(void)
{
	uint64_t table = alloc_table(), loose = alloc_table();

	if (table == NO_FRAME || loose == NO_FRAME || pin_table(table, 1))
		return EXIT_CHECK_FAILED;
	register_trap(VECTOR_GP, general_protection, true);
	if (!all_same(table) || !add_up((uint64_t *)pfn_to_virt(table) + 20) ||
	    !add_up((uint64_t *)pfn_to_virt(kernel_root_pfn()) + FREE_L4))
		return EXIT_CHECK_FAILED;
	if (!tables_are_write_protected()) {
		kprintf("stores: all %zu do what they should; tables are not write-protected\n",
			sizeof(stores) / sizeof(stores[0]));
		return EXIT_OK;
	}
	if (!rules_hold(table, loose) || !device_is_kept_off(table) || !link_pins(loose, false) ||
	    !link_pins(loose, true)) {
		kprintf("stores: the host has done what it should have refused, or the reverse\n");
		return EXIT_CHECK_FAILED;
	}
	kprintf("stores: all %zu do what they should, %u were refused, links pin\n",
		sizeof(stores) / sizeof(stores[0]), refused);
	return EXIT_OK;
}

WORKLOAD(stores, "write page tables with every kind of store", run_stores);

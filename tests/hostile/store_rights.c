/* SPDX-License-Identifier: MIT */
/*
 * One store to two page tables that lie side by side, of which the guest's own tables forbid one:
 * read-only, not for ring 3, not for ring 0 (SMAP), not mapped, not canonical. Nothing of it is
 * done, and the fault is the processor's, as for two pages of ordinary memory. What the guest's
 * tables allow is done.
 */
#include "hostile.h"

#define US 4ull

#define CR0_WP    (1ull << 16)
#define CR4_SMAP  (1ull << 21)
#define RFLAGS_AC (1ull << 18)
#define IOPL3     0x3000ull

#define NONE 99u /* no fault */

/* Both ends of two large pages of the direct map: ordinary memory, L1 tables, and L2 tables that a
 * processor walks. */
#define NR_PAIRS 3u

static uint64_t *pair(unsigned i)
{
	return direct(0x3ff000 + i * 0x400000ull);
}

/* Where entries of the direct map may lead, in place of a large page. */
static table_t small[NR_PAIRS];

/* --- faults ----------------------------------------------------------------------------------- */

uint64_t fault_vector = NONE, fault_error, fault_va;
extern const char on_page_fault[], on_protection_fault[];

__asm__("on_page_fault:\n\t"
	"movq $14, fault_vector(%rip)\n\t"
	"mov %cr2, %rax\n\t"
	"mov %rax, fault_va(%rip)\n\t"
	"jmp 1f\n"
	"on_protection_fault:\n\t"
	"movq $13, fault_vector(%rip)\n\t"
	"movq $0, fault_va(%rip)\n"
	"1:\tmov (%rsp), %rax\n\t"
	"mov %rax, fault_error(%rip)\n\t"
	"jmp on_tried_fault");

struct fault {
	unsigned vector, error;
	bool second; /* page */
};

static const struct fault none = {NONE, 0, false}, not_canonical = {13, 0, false};

static struct fault page_fault(unsigned error, bool second)
{
	return (struct fault){14, error, second};
}

/* --- stores ----------------------------------------------------------------------------------- */

static const unsigned before[] = {4, 1, 8}; /* bytes in the first page */

/* Stores across the address. */
static bool store(unsigned how, uint64_t va)
{
	static const uint64_t value[2] = {0x2222222244444444, 0x2222222244444444};
	bool done = false;

	if (how == 0)
		TRY(done, "movq %2, -4(%1)", "r"(va), "r"(value[0]));
	else if (how == 1)
		TRY(done, "movw %w2, -1(%1)", "r"(va), "r"(0x2244));
	else
		TRY(done, "movups (%2), %%xmm0; movups %%xmm0, -8(%1)", "r"(va), "r"(value));
	return done;
}

/* The last entry of the first page, and the first of the second. */
static volatile uint64_t *entries(unsigned i)
{
	return pair(i) + 511;
}

static void check_stored(unsigned i)
{
	volatile uint64_t *e = entries(i);

	check(e[0] != 0 && e[1] != 0);
	for (unsigned n = 0; n < 2; n++) {
		if (common()->logging)
			log_change(gpa_of((const void *)&e[n]), 0, e[n]);
		require(set((uint64_t *)&e[n], 0));
	}
}

/* Both entries are zero, and stored to through that address. (A processor that is emulated may do
 * half of a store of 16 bytes before it faults.) */
static void expect(unsigned i, uint64_t va, struct fault fault)
{
	for (unsigned how = 0; how < (i > 0 && tables_write_protected() ? 3 : 2); how++) {
		bool done = store(how, va);

		check(done == (fault.vector == NONE));
		check(fault_vector == fault.vector);
		check(done || fault_error == fault.error);
		check(fault.vector != 14 || fault_va == (fault.second ? va : va - before[how]));
		if (done)
			check_stored(i);
		fault_vector = NONE;
	}
}

/* KVM now shadows the L2 tables, if it does that at all, and emulates what is stored there. */
static void walk_tables(void)
{
	for (uint64_t i = 1; i <= 2; i++)
		require(try_store(VM_BASE + (i << 30) + (3 << 21), 0));
}

/* The direct map gets these rights to both pages. */
static void set_rights(unsigned i, uint64_t first, uint64_t second)
{
	unsigned n = 1 + 2 * i;
	uint64_t to = second & PS ? (n + 1) * 0x200000ull : gpa_of(small[i]);

	require(set(&tree.direct_l2[n], n * 0x200000ull | first));
	require(set(&tree.direct_l2[n + 1], second ? to | second : 0));
}

/* How many pairs there are to try. (Where KVM emulates stores to tables that are not
 * write-protected, it may do half of one.) */
static unsigned nr_pairs(void)
{
	return tables_write_protected() ? NR_PAIRS : NR_PAIRS - 1;
}

/* What comes of such rights. */
static void with_rights(uint64_t first, uint64_t second, struct fault fault)
{
	const uint64_t leaf = P | RW | PS;

	for (unsigned i = 0; i < nr_pairs(); i++) {
		set_rights(i, first, second);
		load_cr3(gpa_of(tree.root));
		walk_tables();
		expect(i, (uint64_t)(pair(i) + 512), fault);
		set_rights(i, leaf, leaf);
		load_cr3(gpa_of(tree.root));
		check(entries(i)[0] == 0 && entries(i)[1] == 0);
	}
}

/* The same in ring 3, where rights are only gained, for which no flush is needed. */
static void with_more_rights(uint64_t second, struct fault fault)
{
	for (unsigned i = 0; i < 2; i++) {
		set_rights(i, P | RW | PS | US, second);
		expect(i, (uint64_t)(pair(i) + 512), fault);
	}
}

static void set_leaf_rights(uint64_t rights)
{
	for (unsigned i = 0; i < NR_PAIRS; i++)
		require(set(&small[i][0], (2 + 2 * i) * 0x200000ull | rights));
}

/* --- modes of the processor ------------------------------------------------------------------- */

static void change_cr0(uint64_t off, uint64_t on)
{
	uint64_t cr0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"((cr0 & ~off) | on) : "memory");
}

static void change_cr4(uint64_t off, uint64_t on)
{
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"((cr4 & ~off) | on) : "memory");
}

static void change_rflags(uint64_t off, uint64_t on)
{
	uint64_t rflags;

	__asm__ volatile("pushf; pop %0" : "=r"(rflags));
	__asm__ volatile("push %0; popf" : : "r"((rflags & ~off) | on) : "memory", "cc");
}

static bool has_smap(void)
{
	uint32_t eax = 7, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx >> 20 & 1;
}

static uint8_t stack_of_ring0[4096] __attribute__((aligned(16)));
static uint64_t tss[13];

/* From here on in ring 3, which may use ports. Faults are handled in ring 0. */
static void enter_ring3(void)
{
	static uint64_t gdt[8] = {
		[2] = 0x00af9b000000ffff,
		[3] = 0x00cf93000000ffff, /* as before */
		[4] = 0x00cff3000000ffff,
		[5] = 0x00affb000000ffff, /* for ring 3 */
	};
	const uint64_t at = (uint64_t)tss;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr = {sizeof(gdt) - 1, (uint64_t)gdt};
	const uint64_t rsp0 = (uint64_t)(stack_of_ring0 + sizeof(stack_of_ring0));

	__builtin_memcpy((char *)tss + 4, &rsp0, sizeof(rsp0));
	gdt[6] =
		(sizeof(tss) - 1) | (at & 0xffffff) << 16 | 0x89ull << 40 | (at >> 24 & 0xff) << 56;
	gdt[7] = at >> 32;
	__asm__ volatile("lgdt %0\n\t"
			 "ltr %w1\n\t"
			 "mov %%rsp, %%rax\n\t"
			 "push $0x23\n\t"
			 "push %%rax\n\t"
			 "pushf\n\t"
			 "orq %2, (%%rsp)\n\t"
			 "push $0x2b\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "push %%rax\n\t"
			 "iretq\n"
			 "1:"
			 :
			 : "m"(gdtr), "r"(0x30), "i"(IOPL3)
			 : "rax", "memory", "cc");
}

/* --- the cases -------------------------------------------------------------------------------- */

static void ring0_cases(void)
{
	const uint64_t leaf = P | RW | PS;

	with_rights(leaf, leaf, none);
	with_rights(leaf, P | PS, page_fault(3, true));
	with_rights(P | PS, leaf, page_fault(3, false));
	with_rights(leaf, 0, page_fault(2, true));
	set_leaf_rights(P | RW);
	with_rights(leaf, P | RW, none);
	with_rights(leaf, P, page_fault(3, true));
	set_leaf_rights(P);
	with_rights(leaf, P | RW, page_fault(3, true));
	set_leaf_rights(0);
	with_rights(leaf, P | RW, page_fault(2, true));
	change_cr0(CR0_WP, 0);
	with_rights(leaf, P | PS, none);
	change_cr0(0, CR0_WP);
}

/* Ring 0 may not use what ring 3 may, unless it says so by AC. (The code is ring 0's.) */
static void smap_cases(void)
{
	const uint64_t leaf = P | RW | PS;

	if (!has_smap())
		return;
	change_cr4(0, CR4_SMAP);
	with_rights(leaf, leaf | US, page_fault(3, true));
	with_rights(leaf | US, leaf, page_fault(3, false));
	change_rflags(0, RFLAGS_AC);
	with_rights(leaf, leaf | US, none);
	change_rflags(RFLAGS_AC, 0);
	change_cr4(CR4_SMAP, 0);
}

static void ring3_cases(void)
{
	with_more_rights(P | RW | PS, page_fault(7, true));
	with_more_rights(P | PS | US, page_fault(7, true));
	for (unsigned i = 0; i < 2; i++)
		check(entries(i)[0] == 0 && entries(i)[1] == 0);
	with_more_rights(P | RW | PS | US, none);
}

/* No pinned root leads to the tables for that. */
static void not_canonical_case(void)
{
	static table_t root, l3[2], l2[2], l1[2];
	const uint64_t end = 1ull << 47;

	root[273] = entry(tree.direct_l3, P | RW);
	for (unsigned i = 0; i < 2; i++) {
		unsigned n = i ? 0 : 511;

		root[255 + i] = entry(l3[i], P | RW);
		l3[i][n] = entry(l2[i], P | RW);
		l2[i][n] = entry(l1[i], P | RW);
	}
	for (unsigned i = 0; i < 2; i++) {
		l1[0][511] = entry(pair(i), P | RW);
		l1[1][0] = entry(pair(i) + 512, P | RW);
		load_cr3(gpa_of(root));
		expect(i, end, not_canonical);
	}
	load_cr3(gpa_of(tree.root));
}

static void pin_pairs(void)
{
	require(pin(spare[7], 1) == ALIAS_OK && set(&spare[7][0], 0x200000 | P | RW));
	for (uint64_t i = 1; i <= 2; i++) {
		uint64_t *l1 = pair(1) + (i - 1) * 512, *l2 = pair(2) + (i - 1) * 512;

		require(pin(l1, 1) == ALIAS_OK && pin(l2, 2) == ALIAS_OK);
		require(set(&l2[3], entry(spare[7], P | RW)));
		require(set(&tree.vm_l3[i], entry(l2, P | RW)));
	}
	for (unsigned i = 0; i < NR_PAIRS; i++)
		require(pin(small[i], 1) == ALIAS_OK);
}

static void hostile_main(void)
{
	set_gate(13, on_protection_fault);
	set_gate(14, on_page_fault);
	pin_pairs();
	require(set(&tree.root[273], tree.root[273] | US));
	require(set(&tree.direct_l3[0], tree.direct_l3[0] | US));
	ring0_cases();
	smap_cases();
	not_canonical_case();
	for (unsigned i = 0; i < 8; i++)
		require(set(&tree.direct_l2[i], tree.direct_l2[i] | (i == 0 || i % 2 ? US : 0)));
	load_cr3(gpa_of(tree.root));
	enter_ring3();
	ring3_cases();
}

/* SPDX-License-Identifier: MIT */
/*
 * Random stores, each done to a pinned table and to an ordinary page that holds the same: both
 * leave the same in memory, registers and flags, but that the table's entries are accessed and
 * dirty when they are present. One that breaks a rule faults, and leaves all as it was.
 *
 * The command line ends with "SEED-ROUNDS". The tables are an L1 and an L2: KVM emulates stores to
 * the latter while it shadows it.
 */
#include "hostile.h"
#include "store_insns.h"

#define MARGIN 64u /* bytes at both ends that are left alone: half a store ends the guest */
#define NEAR   6u  /* entries that a store may touch, and some around */
#define MOST   4u  /* rounds of a string instruction at once */
#define A_D    0x60ull

struct registers {
	uint64_t rax, rcx, rdx, rbx, rsi, rdi, r8, r9, flags;
};

/* Others than the list has: with what they load, the upper half of XMM0 or rounds. */
static const struct {
	uint8_t len;
	uint8_t code[8];
} more_insns[] = {
	{3, {0x0f, 0x11, 0x07}},       /* movups %xmm0, (%rdi) */
	{4, {0x66, 0x0f, 0x11, 0x07}}, /* movupd %xmm0, (%rdi) */
	{2, {0x48, 0xa5}},             /* movsq */
	{3, {0xf3, 0x48, 0xa5}},       /* rep movsq */
	{2, {0xf3, 0xa4}},             /* rep movsb */
	{3, {0xf3, 0x48, 0xab}},       /* rep stosq */
};

#define NR_LISTED (sizeof(store_insns) / sizeof(store_insns[0]))
#define NR_MORE   (sizeof(more_insns) / sizeof(more_insns[0]))

static uint64_t *const plain = spare[2], *const source = spare[3];
static uint64_t state;
extern uint8_t code[16];

/* Runs what is in `code` with these registers, and leaves there what it leaves. False if it has
 * faulted. */
bool run_code(struct registers *r);

__asm__(".data\n"
	"code:\n\t"
	".skip 16, 0xc3\n"
	".text\n"
	"run_code:\n\t"
	"push %rbx\n\t"
	"push %rbp\n\t"
	"push %r12\n\t"
	"mov %rsp, %rbp\n\t"
	"mov %rdi, %r12\n\t"
	"lea 1f(%rip), %r11\n\t"
	"movabs $0x7472795f73746f72, %r10\n\t"
	"mov 0(%r12), %rax\n\t"
	"mov 8(%r12), %rcx\n\t"
	"mov 16(%r12), %rdx\n\t"
	"mov 24(%r12), %rbx\n\t"
	"mov 32(%r12), %rsi\n\t"
	"mov 40(%r12), %rdi\n\t"
	"mov 48(%r12), %r8\n\t"
	"mov 56(%r12), %r9\n\t"
	"push 64(%r12)\n\t"
	"popfq\n\t"
	"call code\n\t"
	"pushfq\n\t"
	"pop 64(%r12)\n\t"
	"mov %rax, 0(%r12)\n\t"
	"mov %rcx, 8(%r12)\n\t"
	"mov %rdx, 16(%r12)\n\t"
	"mov %rbx, 24(%r12)\n\t"
	"mov %rsi, 32(%r12)\n\t"
	"mov %rdi, 40(%r12)\n\t"
	"mov %r8, 48(%r12)\n\t"
	"mov %r9, 56(%r12)\n\t"
	"mov $1, %eax\n\t"
	"jmp 2f\n"
	"1:\txor %eax, %eax\n"
	"2:\tcld\n\t"
	"mov %rbp, %rsp\n\t"
	"xor %r10d, %r10d\n\t"
	"pop %r12\n\t"
	"pop %rbp\n\t"
	"pop %rbx\n\t"
	"ret");

static uint64_t number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1d;
}

static unsigned below(unsigned n)
{
	return (unsigned)(number() >> 33) % n;
}

/* Of few bits, of many, small; few are present. */
static uint64_t value(void)
{
	uint64_t random = number();

	switch (below(4)) {
	case 0:
		return random & number() & number() & ~1ull;
	case 1:
		return 1ull << below(64);
	case 2:
		return random & 0xffe;
	default:
		return below(8) ? random & ~1ull : random;
	}
}

static uint64_t read_decimal(const char **text)
{
	uint64_t n = 0;

	while (**text >= '0' && **text <= '9')
		n = n * 10 + (uint64_t)(*(*text)++ - '0');
	return n;
}

/* Returns the flags that are defined after it. */
static unsigned place_code(unsigned which)
{
	const uint8_t *bytes =
		which < NR_LISTED ? store_insns[which].code : more_insns[which - NR_LISTED].code;
	unsigned len =
		which < NR_LISTED ? store_insns[which].len : more_insns[which - NR_LISTED].len;

	for (unsigned i = 0; i < sizeof(code); i++)
		((volatile uint8_t *)code)[i] = i < len ? bytes[i] : 0xc3;
	return which < NR_LISTED ? store_insns[which].flags : ARITHMETIC;
}

static struct registers random_registers(uint64_t old)
{
	return (struct registers){
		.rax = below(2) ? old : value(),
		.rcx = below(2) ? value() : below(64),
		.rdx = value(),
		.rbx = value(),
		.rsi = (uint64_t)&source[8 + below(8)],
		.r8 = value(),
		.r9 = value(),
		.flags = 0x2 | (number() & ARITHMETIC) | (below(4) ? 0 : 0x400),
	};
}

static bool same_registers(const struct registers *a, const struct registers *b, unsigned flags)
{
	return a->rax == b->rax && a->rcx == b->rcx && a->rdx == b->rdx && a->rbx == b->rbx &&
	       a->rsi == b->rsi && a->r8 == b->r8 && a->r9 == b->r9 &&
	       ((a->flags ^ b->flags) & flags) == 0;
}

/* The entries around are set to the same in both. */
static void fill(uint64_t *table, unsigned first)
{
	for (unsigned i = first; i < first + NEAR; i++) {
		uint64_t pte = value() & ~1ull;

		plain[i] = pte;
		if (*(volatile uint64_t *)&table[i] != pte)
			require(set_unlogged(&table[i], pte));
	}
}

/* A link asks for a pin, which is another matter. */
static bool any_present(unsigned first)
{
	bool present = false;

	for (unsigned i = first; i < first + NEAR; i++)
		present |= plain[i] & P;
	return present;
}

static bool same_entries(const uint64_t *table, unsigned first)
{
	bool same = true;

	for (unsigned i = first; i < first + NEAR; i++) {
		uint64_t is = *(const volatile uint64_t *)&table[i];

		same &= is == (plain[i] & P ? plain[i] | A_D : plain[i]);
	}
	return same;
}

/* Has KVM shadow the L2 table. */
static void use_l2(void)
{
	require(try_store(VM_BASE + (1ull << 30) + (3ull << 21), 0));
}

static void one_round(uint64_t *table, bool is_l1)
{
	const unsigned which = below(NR_LISTED + NR_MORE), flags = place_code(which);
	const unsigned at = MARGIN + 8 + below(4096 - 2 * MARGIN - 8 * NEAR), first = at / 8 - 2;
	const bool rounds = ((volatile uint8_t *)code)[0] == 0xf3;
	uint64_t before[NEAR];
	struct registers a, b;

	fill(table, first);
	for (unsigned i = 0; i < NEAR; i++)
		before[i] = plain[first + i];
	a = random_registers(plain[at / 8]);
	if (rounds) {
		a.rcx = 1 + below(MOST - 1);
		a.flags &= ~0x400ull;
	}
	b = a;
	a.rdi = (uint64_t)plain + (below(2) ? at : at & ~7u);
	b.rdi = (uint64_t)table + (a.rdi - (uint64_t)plain);
	require(run_code(&a));
	if (any_present(first) && !is_l1)
		return;
	if (!is_l1 && below(2))
		use_l2();
	if (run_code(&b)) {
		check(same_entries(table, first));
		check(a.rdi - (uint64_t)plain == b.rdi - (uint64_t)table);
		check(same_registers(&a, &b, flags));
		return;
	}
	check(any_present(first));
	if (rounds)
		return; /* those before the one that faults are done */
	for (unsigned i = 0; i < NEAR; i++)
		check(((volatile uint64_t *)table)[first + i] == before[i]);
}

static void hostile_main(void)
{
	const char *word = last_word();
	uint64_t rounds;

	state = read_decimal(&word) * 2 + 1;
	require(*word++ == '-');
	rounds = read_decimal(&word);
	require(tables_write_protected() && rounds > 0 && *word == 0);
	require(pin(spare[1], 1) == ALIAS_OK && pin(spare[4], 2) == ALIAS_OK);
	require(pin(spare[6], 1) == ALIAS_OK);
	require(set(&tree.vm_l2[1], entry(spare[1], P | RW)));
	require(set(&tree.vm_l3[1], entry(spare[4], P | RW)));
	require(set(&spare[4][3], entry(spare[6], P | RW)) && set(&spare[6][0], 0x400000 | P | RW));
	for (unsigned i = 0; i < 32; i++)
		source[i] = value() & ~1ull;
	for (uint64_t i = 0; i < rounds; i++) {
		__asm__ volatile("movups (%0), %%xmm0" : : "r"(&source[below(16)]));
		one_round(i % 2 ? spare[4] : spare[1], i % 2 == 0);
	}
}

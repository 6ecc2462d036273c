/* SPDX-License-Identifier: MIT */
/*
 * One store that breaks a rule with one half, in a table above L1, and puts the other half into
 * memory beside it that is no table. The word of the command line says which lies first, and of how
 * many bytes the store is: "first-8", the first entry of the table is met, or "last-8".
 *
 * dirty, scan, log: done, and reported with its address at the next sync. strict: KVM, which
 * shadows such a table itself, emulates the store, and has done the ordinary half when the host
 * hears of it (16 bytes: if the same comes again, as KVM would rather do without). No old value is
 * left to put back, so the guest gets no further.
 */
#include "hostile.h"

#define TRIES 8u

static uint64_t *const table = spare[4];

struct wish {
	bool last;
	unsigned size;
};

/* "... last-16" */
static struct wish read_wish(void)
{
	const char *word = last_word();
	struct wish wish = {.last = word[0] == 'l'};

	while (*word && *word != '-')
		word++;
	while (*word++)
		if (*word)
			wish.size = wish.size * 10 + (unsigned)(*word - '0');
	require(wish.size == 2 || wish.size == 4 || wish.size == 8 || wish.size == 16);
	return wish;
}

static bool store(void *to, const void *from, unsigned size)
{
	bool done = false;

	switch (size) {
	case 2:
		TRY(done, "movw (%2), %%ax; movw %%ax, (%1)", "r"(to), "r"(from));
		break;
	case 4:
		TRY(done, "movl (%2), %%eax; movl %%eax, (%1)", "r"(to), "r"(from));
		break;
	case 8:
		TRY(done, "movq (%2), %%rax; movq %%rax, (%1)", "r"(to), "r"(from));
		break;
	default:
		TRY(done, "movups (%2), %%xmm0; movups %%xmm0, (%1)", "r"(to), "r"(from));
	}
	return done;
}

/* Has KVM shadow the table, and map it for reading. */
static void use_table(void)
{
	require(try_store(VM_BASE + (1ull << 30) + (3ull << 21), 0));
	require(*(volatile uint64_t *)&table[3] & P);
}

/* What lies in memory holds this everywhere. */
static bool plain_is(const volatile uint8_t *plain, unsigned nr, uint8_t what)
{
	bool all = true;

	for (unsigned i = 0; i < nr; i++)
		all &= plain[i] == what;
	return all;
}

/* Of a store that begins in memory, that much goes there. (A processor that is emulated may do a
 * store of 16 bytes as two of 8, of which one is done when the other faults: not where that begins
 * in a page.) */
static unsigned plain_bytes(const struct wish *wish)
{
	return wish->size == 16 && !wish->last ? 4 : wish->size / 2;
}

/* An entry gets some of its bytes, or all, from the store, and is `bad` then. */
static void straddle(const struct wish *wish, uint64_t *e, uint64_t bad)
{
	unsigned nr_plain = plain_bytes(wish), nr = wish->size - nr_plain, tries = 0;
	uint8_t *edge = (uint8_t *)(wish->last ? table + 512 : table), bytes[16] = {0};
	uint8_t *plain = wish->last ? edge : edge - nr_plain;
	uint64_t before = *(volatile uint64_t *)e, now;
	bool done;

	for (unsigned i = 0; i < nr_plain; i++) {
		bytes[wish->last ? nr + i : i] = 0x22;
		plain[i] = 0x11;
	}
	for (unsigned i = 0; i < nr && i < sizeof(bad); i++)
		bytes[wish->last ? i : nr_plain + i] =
			(uint8_t)(bad >> (wish->last ? 8 - nr + i : i) * 8);
	do {
		use_table();
		done = store(edge - (wish->last ? nr : nr_plain), bytes, wish->size);
		check(plain_is(plain, nr_plain, done ? 0x22 : 0x11));
	} while (tables_write_protected() && !done && ++tries < TRIES);
	now = *(volatile uint64_t *)e;
	if (common()->logging)
		log_change(gpa_of(e), before, now);
	judge_forbidden(e, before, done);
	check(tables_write_protected() || now == bad);
}

static void hostile_main(void)
{
	struct wish wish = read_wish();
	uint64_t link = entry(spare[6], P | RW);

	require(pin(table, 2) == ALIAS_OK && pin(spare[6], 1) == ALIAS_OK);
	require(set(&tree.vm_l3[1], entry(table, P | RW)));
	require(set(&table[3], link) && set(&spare[6][0], 0x400000 | P | RW));
	require(set(&table[511], link));
	host_sync();
	if (wish.last)
		straddle(&wish, &table[511], link | 0xfull << 48); /* a link to what is no memory */
	else
		straddle(&wish, &table[0], P | RW | PS); /* a large mapping of the tables */
}

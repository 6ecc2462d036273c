/* SPDX-License-Identifier: MIT */
/*
 * One store to two tables that lie side by side, of 8 bytes and of 16: to one above L1, which KVM
 * shadows, and one that is not, and to two that are.
 *
 * dirty, scan, log: done, and what breaks a rule is reported with its address at the next sync.
 * strict: exact, or neither half is done.
 */
#include "hostile.h"

#define FAR (1ull << 38) /* no memory is there */

/* The last entry of a table and the first of the next. */
struct pair {
	uint64_t e[2];
};

static struct pair load(const uint64_t *e)
{
	const volatile uint64_t *now = e;

	return (struct pair){{now[0], now[1]}};
}

/* But for what a walk sets. */
static bool same(struct pair a, struct pair b)
{
	return !((a.e[0] ^ b.e[0]) & ~0x60ull) && !((a.e[1] ^ b.e[1]) & ~0x60ull);
}

/* Of 8 bytes: the upper half of the one, the lower half of the other. */
static bool store(uint64_t *e, struct pair to, unsigned size)
{
	bool done = false;

	if (size == 16)
		TRY(done, "movups (%2), %%xmm0; movups %%xmm0, (%1)", "r"(e), "r"(&to));
	else
		TRY(done, "movq %2, 4(%1)", "r"(e), "r"(to.e[0] >> 32 | to.e[1] << 32));
	return done;
}

static void cross(uint64_t *e, struct pair from, struct pair to, bool allowed)
{
	for (unsigned size = 8; size <= 16; size += 8) {
		struct pair before, now;
		bool done;

		require(set(&e[0], from.e[0]) && set(&e[1], from.e[1]));
		host_sync();
		before = load(e);
		done = store(e, to, size);
		now = load(e);
		for (unsigned i = 0; i < 2 && common()->logging; i++)
			log_change(gpa_of(&e[i]), before.e[i], now.e[i]);
		check(done == (allowed || !tables_write_protected()));
		check(same(now, done ? to : before));
		host_sync();
	}
	require(set(&e[0], 0) && set(&e[1], 0));
	host_sync();
}

/* What maps a pinned table, by an entry of this level. */
static uint64_t forbidden_at(unsigned level)
{
	return level == 1 ? entry(tree.root, P | RW) : P | RW | PS;
}

static void try_pair(uint64_t *first, unsigned level, unsigned next_level)
{
	uint64_t *e = &first[511], bad = forbidden_at(level), next_bad = forbidden_at(next_level);

	cross(e, (struct pair){{0x2000, 0}}, (struct pair){{FAR | 0x2000, 0x4000}}, true);
	cross(e, (struct pair){{0x2000, 0}}, (struct pair){{FAR | 0x2000, next_bad}}, false);
	cross(e, (struct pair){{FAR | bad, 0}}, (struct pair){{bad, 0x4000}}, false);
}

static void hostile_main(void)
{
	static const unsigned levels[] = {1, 2, 2, 1};

	require(pin(spare[7], 1) == ALIAS_OK);
	require(set(&spare[7][0], 0x400000 | P | RW));
	for (unsigned i = 0; i < 4; i++)
		require(pin(spare[i], levels[i]) == ALIAS_OK);
	for (unsigned i = 1; i < 3; i++) {
		require(set(&tree.vm_l3[i], entry(spare[i], P | RW)));
		require(set(&spare[i][3], entry(spare[7], P | RW)));
		require(set(&spare[i][4], entry(spare[i == 1 ? 0 : 3], P | RW)));
		require(try_store(VM_BASE + ((uint64_t)i << 30) + (3ull << 21), 0));
	}
	for (unsigned i = 0; i < 3; i++)
		try_pair(spare[i], levels[i], levels[i + 1]);
}

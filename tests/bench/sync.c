/* SPDX-License-Identifier: MIT */
#include "sync.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "arming.h"

#define QUIET_SYNCS 65u /* until at_sync() has armed all tables */

uint64_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* --- the least that could do ------------------------------------------------------------------ */

static void apply(struct follower *f, uint64_t gpa, uint64_t from, uint64_t to)
{
	if (to & E_P)
		f->contender->add(f->self, (to & ~E_NX) >> 12, gpa);
	if (from & E_P)
		f->contender->drop(f->self, (from & ~E_NX) >> 12, gpa);
}

/* Arms the table first and compares it after that. */
static void compare(struct follower *f, uint64_t pfn)
{
	const uint64_t *entries = f->world.memory + pfn * 512;
	uint64_t *copy = f->copies + (pfn - FIRST_TABLE) * 512;

	f->world.ops.arm(&f->world, pfn);
	f->arms++;
	for (unsigned i = 0; i < 512; i++) {
		uint64_t pte = __atomic_load_n(&entries[i], __ATOMIC_RELAXED);

		if (pte == copy[i])
			continue;
		apply(f, FRAME(pfn) + i * 8, copy[i], pte);
		copy[i] = pte;
	}
}

static void plain_open(struct follower *f)
{
	uint64_t heap = heap_bytes();

	f->self = f->contender->open(f->load->frames);
	f->copies = must_calloc((load_table(f->load->tables) - FIRST_TABLE) * 512, 8);
	for (uint64_t table = 0; table < f->load->tables; table++)
		compare(f, load_table(table));
	f->bytes = heap_bytes() - heap;
}

static void plain_close(struct follower *f)
{
	for (uint64_t table = 0; table < f->load->tables; table++)
		if (f->world.armed[load_table(table)])
			f->world.ops.disarm(&f->world, load_table(table));
	f->contender->close(f->self);
	free(f->copies);
}

static void plain_sync(struct follower *f)
{
	uint64_t pfns[64];
	size_t n;

	while ((n = f->world.ops.dirtied(&f->world, pfns, 64)))
		for (size_t i = 0; i < n; i++)
			compare(f, pfns[i]);
}

/* --- the rescan: of the same window, nothing kept --------------------------------------------- */

static uint64_t rescan_count(const struct follower *f, uint64_t pfn)
{
	uint64_t wanted = W(pfn), n = 0;

	for (uint64_t table = 0; table < f->load->tables; table++) {
		const uint64_t *entries = f->world.memory + load_table(table) * 512;

		for (unsigned i = 0; i < 512; i++)
			n += entries[i] == wanted;
	}
	return n;
}

/* --- libaliastracker -------------------------------------------------------------------------- */

static void tracker_open(struct follower *f, enum arming arming)
{
	uint64_t heap = heap_bytes();

	f->world.config.quiet_syncs = arming == ARMING_FREE;
	world_start(&f->world);
	f->self = f->world.at;
	if (world_pin_tree(&f->world, ROOT) != AT_OK)
		abort();
	for (unsigned i = 0; i < QUIET_SYNCS; i++)
		world_sync(&f->world);
	f->bytes = heap_bytes() - heap;
}

/* --- any of them ------------------------------------------------------------------------------ */

void follower_open(struct follower *f, const struct load *load, const struct contender *contender,
		   enum arming arming)
{
	*f = (struct follower){.load = load, .contender = contender};
	world_init(&f->world, load->frames);
	load_build(load, &f->world);
	if (!contender)
		return;
	if (arming == ARMING_REAL)
		arming_start(&f->world);
	if (contender == &contender_bits)
		tracker_open(f, arming);
	else
		plain_open(f);
	contender_touch(contender, f->self, load->frames);
}

void follower_close(struct follower *f)
{
	if (f->contender && f->contender != &contender_bits)
		plain_close(f);
	world_close(&f->world);
	arming_stop(&f->world);
}

void follower_write(struct follower *f, struct change change)
{
	uint64_t pfn = load_table(change.place / RUNS_TABLE);
	volatile uint64_t *entries = f->world.memory + pfn * 512 + change.place % RUNS_TABLE * RUN;

	if (!arming_is_real(&f->world))
		world_walk(&f->world, pfn);
	for (unsigned i = 0; i < RUN; i++)
		entries[i] = load_leaf(change.run, i);
}

void follower_sync(struct follower *f)
{
	if (f->contender == &contender_bits) {
		if (!at_sync(f->world.at))
			abort();
	} else if (f->contender) {
		plain_sync(f);
	}
}

bool follower_has(const struct follower *f, uint64_t pfn)
{
	return f->contender ? f->contender->has(f->self, pfn) : rescan_count(f, pfn) != 0;
}

uint64_t follower_count(const struct follower *f, uint64_t pfn)
{
	return f->contender ? f->contender->count(f->self, pfn) : rescan_count(f, pfn);
}

uint64_t follower_arms(const struct follower *f)
{
	return f->contender == &contender_bits ? world_stats(&f->world).arms : f->arms;
}

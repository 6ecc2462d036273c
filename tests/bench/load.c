/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#include "contender.h"

/* Knuth's MMIX generator, the upper half of its state. */
uint64_t load_random(struct load *load, uint64_t below)
{
	load->random = load->random * 6364136223846793005ull + 1442695040888963407ull;
	return (load->random >> 32) * below >> 32;
}

/* An L2 table, taken between them, for each 512. */
uint64_t load_table(uint64_t table)
{
	return FIRST_TABLE + 2 + table + table / 512;
}

uint64_t load_leaf(uint32_t run, unsigned page)
{
	return run ? W((uint64_t)run * RUN + page) : 0;
}

void load_toggle(struct load *load, uint64_t place, struct event events[static RUN])
{
	uint64_t gpa = FRAME(load_table(place / RUNS_TABLE)) + place % RUNS_TABLE * RUN * 8;
	bool map = !load->at[place];
	uint64_t run = load->at[place];

	/* Every other place is empty: one in eight becomes a second mapping. */
	if (map && load_random(load, 4) == 0)
		run = load->at[load_random(load, load->runs)];
	while (!run) {
		run = load->first_free + load_random(load, load->frames / RUN - load->first_free);
		if (load->users[run])
			run = 0;
	}
	load->at[place] = map ? run : 0;
	load->users[run] += map ? 1 : -1;
	for (unsigned i = 0; i < RUN; i++)
		events[i] = (struct event){run * RUN + i, (gpa + i * 8) | map};
}

struct change load_change(struct load *load, uint64_t among)
{
	struct event events[RUN];
	uint64_t place = load_random(load, among * RUNS_TABLE);

	load_toggle(load, place, events);
	return (struct change){place, load->at[place]};
}

void load_init(struct load *load, uint64_t frames, uint64_t leaves_max)
{
	uint64_t leaves = frames / 2 < leaves_max ? frames / 2 : leaves_max;
	struct event events[RUN];

	memset(load, 0, sizeof(*load));
	load->frames = frames;
	load->tables = leaves * 2 / 512;
	load->runs = load->tables * RUNS_TABLE;
	load->first_free = (load_table(load->tables) + RUN) / RUN;
	load->at = must_calloc(load->runs, sizeof(*load->at));
	load->users = must_calloc(frames / RUN, sizeof(*load->users));
	load->random = 1;
	for (uint64_t i = 0; i < load->runs; i++)
		if (load_random(load, 2))
			load_toggle(load, i, events);
}

void load_free(struct load *load)
{
	free(load->at);
	free(load->users);
}

void load_build(const struct load *load, struct world *w)
{
	for (uint64_t table = 0; table < load->tables; table++) {
		uint64_t pfn = world_map(w, ROOT, VMALLOC + (table << 21), 1, 0);

		if (pfn != load_table(table))
			abort();
		for (unsigned i = 0; i < 512; i++)
			w->memory[pfn * 512 + i] =
				load_leaf(load->at[table * RUNS_TABLE + i / RUN], i % RUN);
	}
}

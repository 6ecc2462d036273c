/* SPDX-License-Identifier: MIT */
/*
 * What the guest does, the same for all contenders: buffers of 16 pages are mapped and unmapped
 * at random places of a window of page tables, half of which is in use, as vmap and a process being
 * loaded do it. A buffer's frames are contiguous; one in eight buffers is a second mapping of one
 * that is mapped already. Repeatable: a load is made by its seed.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "../unit/tracker/world.h"

#define RUN         16u /* pages a buffer */
#define RUNS_TABLE  (512 / RUN)
#define FIRST_TABLE 16u /* the frame where world_map() takes its first */
#define ROOT        1u

struct load {
	uint64_t frames, tables; /* tables: of L1 */
	uint64_t runs;           /* places for buffers: tables x RUNS_TABLE */
	uint32_t *at;            /* what is mapped there: its first frame / RUN, or 0 */
	uint8_t *users;          /* of each RUN of frames: places that map it */
	uint64_t first_free;     /* frames / RUN that are no tables begin here */
	uint64_t random;
};

/* One leaf mapped or unmapped. */
struct event {
	uint64_t pfn;
	uint64_t gpa_map; /* of the entry; bit 0: mapped */
};

/* What one place holds from now on: a buffer's first frame / RUN, or 0. */
struct change {
	uint64_t place;
	uint32_t run;
};

/* A window that would map at most half of the frames, and at most `leaves_max` leaves. */
void load_init(struct load *load, uint64_t frames, uint64_t leaves_max);
void load_free(struct load *load);

uint64_t load_random(struct load *load, uint64_t below);
/* Maps or unmaps the buffer of one place, and says what that did to RUN leaves. */
void load_toggle(struct load *load, uint64_t place, struct event events[static RUN]);
/* The same at a random place of the first `among` tables. */
struct change load_change(struct load *load, uint64_t among);
/* The leaf of page `page` of such a buffer, or 0. */
uint64_t load_leaf(uint32_t run, unsigned page);
/* The frame of the table. */
uint64_t load_table(uint64_t table);

/* Builds the tables in the memory of a fresh world: L3, L2 and L1 tables below ROOT. */
void load_build(const struct load *load, struct world *w);

#endif

/* SPDX-License-Identifier: MIT */
/* The map of all frames, for the control socket. */
#include "clock.h"
#include "frame_grid.h"
#include "json_object.h"
#include "machine.h"
#include "pin/internal.h"
#include "pin/map.h"
#include "pin/origin.h"
#include "pin/pin.h"
#include "stop.h"

/* The guest's records are searched for so many mapped frames, and in so much of this thread's time:
 * each may take a walk of all tables, while vCPUs wait for the lock. */
#define STALE_MAX   4096u
#define STALE_NS    500000000u
#define ALIASES_MAX 8u

/* What is left for that. */
struct search {
	unsigned frames;
	uint64_t until;
};

/* Is one of the frame's mappings one that the guest has unmapped? */
static bool is_stale(const struct pin *pin, uint64_t pfn)
{
	struct at_alias aliases[ALIASES_MAX];
	uint64_t count = at_alias_count(pin->at, pfn);
	size_t nr = at_aliases(pin->at, pfn, aliases, count < ALIASES_MAX ? count : ALIASES_MAX);
	struct origin origin;

	for (size_t i = 0; i < nr; i++)
		if (origin_find(pin, aliases[i].va, &origin) && origin.unmapped_by)
			return true;
	return false;
}

static uint64_t own_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static bool may_search(const struct pin *pin, struct search *search)
{
	if (search->frames == 0)
		return false;
	if (own_ns() > search->until || stop_requested(&pin->machine->stop)) {
		search->frames = 0;
		return false;
	}
	search->frames--;
	return true;
}

static enum pin_frame what_is(struct pin *pin, uint64_t pfn, struct search *search)
{
	const struct alias_tracker *at = pin->at;
	unsigned level = at_pinned_level(at, pfn);
	bool mapped = at_has_alias(at, pfn);

	if (!memory_ptr(&pin->vm->mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE))
		return FRAME_NONE;
	if (level)
		return mapped ? FRAME_ALIASED : FRAME_L1 + (level < 4 ? level : 4) - 1;
	if (at_is_ballooned(at, pfn))
		return FRAME_BALLOONED;
	if (mapped && may_search(pin, search) && is_stale(pin, pfn))
		return FRAME_STALE;
	if (at_memtype(at, pfn))
		return FRAME_TYPED;
	return mapped ? FRAME_MAPPED : FRAME_ORDINARY;
}

static void add_cells(json_t *answer, struct frame_grid *grid)
{
	for (size_t i = 0; i < grid->nr; i++)
		grid->cell[i] = (uint8_t)FRAME_LETTERS[grid->cell[i]];
	json_object_set_new(answer, "cells", json_stringn((const char *)grid->cell, grid->nr));
	object_add_number(answer, "frames_per_cell", 1ull << grid->shift);
}

const char *pin_map_frames(struct pin *pin, json_t *answer)
{
	uint64_t frames = memory_end_pfn(&pin->vm->mem);
	struct frame_grid grid;
	struct search search = {.frames = STALE_MAX};

	if (!pin->tracks)
		return "vmm was started with --track off";
	if (frame_grid_init(&grid, frames, NULL, FRAME_NR_KINDS)) {
		frame_grid_free(&grid);
		return "out of memory";
	}
	pthread_mutex_lock(&pin->lock);
	sync_tables(pin);
	origins_read(pin);
	search.until = own_ns() + STALE_NS;
	for (uint64_t pfn = 0; pfn < frames; pfn++)
		frame_grid_paint(&grid, pfn, what_is(pin, pfn, &search));
	pthread_mutex_unlock(&pin->lock);
	object_add_number(answer, "frames", frames);
	add_cells(answer, &grid);
	frame_grid_free(&grid);
	return NULL;
}

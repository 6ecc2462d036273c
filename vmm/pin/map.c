/* SPDX-License-Identifier: MIT */
/* The map of all frames, for the control socket. Only frames are looked at that may be something:
 * those in regions of 2 MiB in which a transition was granted or that a table maps writable. */
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "frame_grid.h"
#include "json_object.h"
#include "machine.h"
#include "pin/internal.h"
#include "pin/map.h"
#include "pin/origin.h"
#include "pin/pin.h"
#include "pin/regions.h"
#include "pte.h"
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

	if (!memory_frame(&pin->vm->mem, pfn))
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

/* --- which regions ---------------------------------------------------------------------------- */

struct finder {
	const struct pin *pin;
	uint64_t frames;
	uint64_t *found; /* a set, as pin/regions.h has it */
};

/* Those of a writable leaf. One in an exempt window gives no frame an alias, any other gives one to
 * all its frames: so the direct map adds none. */
static void add_leaf(struct finder *finder, uint64_t pfn, unsigned level)
{
	uint64_t end = pfn + (1ull << 9 * (level - 1));

	if (pfn >= finder->frames || !at_has_alias(finder->pin->at, pfn))
		return;
	for (; pfn < end && pfn < finder->frames; pfn += REGION_FRAMES)
		regions_add(finder->found, pfn);
}

/* By what is in memory now: what was mapped at the sync and is no more need not be on the map. */
static bool add_leaves(void *ctx, const struct at_table *table)
{
	struct finder *finder = ctx;
	const struct pin *pin = finder->pin;
	const uint64_t *entries = memory_frame(&pin->vm->mem, table->pfn);

	for (unsigned level = 1; entries && level <= LEAF_LEVELS; level++) {
		if (!(table->levels >> (level - 1) & 1))
			continue;
		for (unsigned i = 0; i < PT_ENTRIES; i++) {
			uint64_t pte = pte_load(&entries[i]);

			if (pte & PTE_RW && pte_kind(pte, level) == PTE_LEAF)
				add_leaf(finder, pte_pfn(pte, level, PTE_LEAF), level);
		}
	}
	return !stop_requested(&pin->machine->stop);
}

static void paint_region(struct pin *pin, struct frame_grid *grid, uint64_t pfn, uint64_t end,
			 struct search *search)
{
	for (; pfn < end; pfn++)
		frame_grid_paint(grid, pfn, 1, what_is(pin, pfn, search));
}

/* The lock is held, and the tracker synced. `found` is for its use. */
static void paint_frames(struct pin *pin, struct frame_grid *grid, uint64_t *found)
{
	struct finder finder = {
		.pin = pin, .frames = memory_end_pfn(&pin->vm->mem), .found = found};
	struct search search = {.frames = STALE_MAX, .until = own_ns() + STALE_NS};

	memcpy(found, pin->regions_granted, regions_size(&pin->vm->mem));
	at_for_each_table(pin->at, add_leaves, &finder);
	for (uint64_t pfn = 0; pfn < finder.frames; pfn += REGION_FRAMES) {
		uint64_t left = finder.frames - pfn;

		if (regions_have(found, pfn))
			paint_region(pin, grid, pfn,
				     pfn + (left < REGION_FRAMES ? left : REGION_FRAMES), &search);
	}
}

static void paint_memory(const struct memory *mem, struct frame_grid *grid)
{
	for (unsigned i = 0; i < mem->nr; i++)
		frame_grid_paint(grid, mem->slot[i].gpa / ALIAS_PAGE_SIZE,
				 mem->slot[i].size / ALIAS_PAGE_SIZE, FRAME_ORDINARY);
}

/* --- the answer ------------------------------------------------------------------------------- */

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
	uint64_t *found;
	struct frame_grid grid;

	if (!pin->tracks)
		return "vmm was started with --track off";
	found = malloc(regions_size(&pin->vm->mem));
	if (frame_grid_init(&grid, frames, NULL, FRAME_NR_KINDS) || !found) {
		frame_grid_free(&grid);
		free(found);
		return "out of memory";
	}
	paint_memory(&pin->vm->mem, &grid);
	pthread_mutex_lock(&pin->lock);
	sync_tables(pin);
	origins_read(pin);
	paint_frames(pin, &grid, found);
	pthread_mutex_unlock(&pin->lock);
	free(found);
	object_add_number(answer, "frames", frames);
	add_cells(answer, &grid);
	frame_grid_free(&grid);
	return NULL;
}

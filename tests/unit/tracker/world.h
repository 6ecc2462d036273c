/* SPDX-License-Identifier: MIT */
/*
 * A simulated guest: sparse memory, a clock, and a watcher that notes every write to an armed frame
 * before the write can be seen, as `struct at_ops` demands it. Guests write through world_set().
 * (Of Check only what is needed to fail is used in it, so that it works outside of a test, too.)
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "alias_tracker.h"

/* Entries, once more and by hand: the tests do not share the tracker's idea of them. */
#define E_P        0x001ull
#define E_RW       0x002ull
#define E_US       0x004ull
#define E_A        0x020ull
#define E_D        0x040ull
#define E_PS       0x080ull
#define E_NX       0x8000000000000000ull
#define E_TABLE    (E_P | E_RW | E_US)
#define FRAME(pfn) ((uint64_t)(pfn) << 12)
#define W(pfn)     (FRAME(pfn) | E_P | E_RW) /* a writable leaf or link */
#define R(pfn)     (FRAME(pfn) | E_P)        /* a read-only one */

#define TO_TABLE   ((struct at_transition){.to = AT_TO_TABLE})
#define TO_HOST    ((struct at_transition){.to = AT_TO_BALLOON})
#define TO_TYPE(t) ((struct at_transition){.to = AT_TO_MEMTYPE, .arg = (t)})

#define DIRECT_BASE 0xffff888000000000ull /* L4 slot 273 */
#define SLOT        (1ull << 39)
#define VMALLOC     0xffffc90000000000ull

#define WORLD_CPUS     4u
#define WORLD_LOG_ROOM 4096u

/* The log of a processor: what it names, and its ring. */
struct world_log {
	uint64_t changing; /* 0: nothing */
	struct at_record records[WORLD_LOG_ROOM];
	uint64_t head, tail, end; /* written; taken; handed out by this sync */
	uint64_t lost, lost_seen;
};

struct world {
	struct alias_tracker *at;
	struct at_ops ops;
	struct at_config config;
	uint64_t frames;
	uint64_t *memory;              /* 512 entries a frame */
	uint64_t hole_begin, hole_end; /* frames without memory */
	uint64_t next_table;           /* world_map() takes its tables here, upwards */
	uint64_t table_calls;          /* how often the tracker asked for a table */
	struct at_clock clock;

	uint8_t *armed; /* a byte a frame */
	uint64_t *noted;
	uint64_t nr_noted, nr_armed;
	unsigned refuse_arms; /* the next so many fail */
	/* Runs before arming takes effect: the window in which an update could get lost. */
	void (*before_arm)(struct world *w, uint64_t pfn);
	void *hook_data;

	/* Changes are logged, by processor `cpu`, until there are `log_room` records in its ring.
	 */
	bool logging;
	unsigned cpu;
	uint64_t log_room;
	bool audit_once;        /* the next sync asks for an audit */
	struct world_log *logs; /* WORLD_CPUS */
	/* Runs between any two things that the tracker looks at: other processors go on. */
	void (*meanwhile)(struct world *w);
};

/* Prepares memory and a default configuration (AT_CHANGES, with clock and watcher), no tracker. */
void world_init(struct world *w, uint64_t frames);
/* world_init(), a tracker, and a direct map of one slot. Asserts that both work. */
void world_open(struct world *w, uint64_t frames);
/* A tracker by w->config, with the direct map. */
void world_start(struct world *w);
/* Frees tracker and memory; asserts that no frame is left armed. */
void world_close(struct world *w);

uint64_t world_get(const struct world *w, uint64_t pfn, unsigned index);
void world_set(struct world *w, uint64_t pfn, unsigned index, uint64_t pte);
void world_copy(struct world *w, uint64_t to, uint64_t from); /* a whole table */
/* The steps of which world_set() consists: while it is under way on a processor, the others may do
 * theirs. */
void world_name(struct world *w, unsigned cpu, uint64_t pfn, unsigned index);
void world_store(struct world *w, uint64_t pfn, unsigned index, uint64_t pte); /* unlogged */
void world_record(struct world *w, unsigned cpu, uint64_t pfn, unsigned index, uint64_t from,
		  uint64_t to);
void world_unname(struct world *w, unsigned cpu);
/* What a processor's walk does: the frame counts as written, and nothing has changed. */
void world_walk(struct world *w, uint64_t pfn);

unsigned va_index(uint64_t va, unsigned level);
/* Sets the entry of `level` for va under the root, with fresh tables above it where there are none.
 * Returns the frame of the table that holds the entry. */
uint64_t world_map(struct world *w, uint64_t root, uint64_t va, unsigned level, uint64_t pte);
/* The frame of the table of `level` on the way to va; asserts that there is one. */
uint64_t world_table(const struct world *w, uint64_t root, uint64_t va, unsigned level);
/* Pins the tables below the root from the bottom up, then the root, as far as they are not pinned.
 * Asserts success for all but the root, whose verdict is returned. */
enum at_verdict world_pin_tree(struct world *w, uint64_t root);

void world_sync(struct world *w); /* asserts success */
struct at_stats world_stats(const struct world *w);
/* The number of violations that are queued, which are taken; the last in *out if not NULL. */
unsigned world_violations(struct world *w, struct at_violation *out);

#endif

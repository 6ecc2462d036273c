/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *sparse(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		ck_abort_msg("no address space for %llu bytes", (unsigned long long)bytes);
	return p;
}

static const uint64_t *op_table(void *ctx, uint64_t pfn)
{
	struct world *w = ctx;

	w->table_calls++;
	if (w->meanwhile)
		w->meanwhile(w);
	if (pfn >= w->frames || (pfn >= w->hole_begin && pfn < w->hole_end))
		return NULL;
	return w->memory + pfn * 512;
}

static struct at_clock op_clock(void *ctx)
{
	return ((struct world *)ctx)->clock;
}

static bool op_arm(void *ctx, uint64_t pfn)
{
	struct world *w = ctx;

	if (w->armed[pfn])
		ck_abort_msg("frame armed twice");
	if (w->before_arm)
		w->before_arm(w, pfn);
	if (w->refuse_arms) {
		w->refuse_arms--;
		return false;
	}
	w->armed[pfn] = 1;
	w->nr_armed++;
	return true;
}

static void op_disarm(void *ctx, uint64_t pfn)
{
	struct world *w = ctx;

	/* Written since it was armed, and not asked for yet: it vanishes from the notes. */
	for (uint64_t i = 0; i < w->nr_noted; i++) {
		if (w->noted[i] == pfn) {
			w->noted[i] = w->noted[--w->nr_noted];
			return;
		}
	}
	if (!w->armed[pfn])
		ck_abort_msg("disarm of a frame that is not armed");
	w->armed[pfn] = 0;
	w->nr_armed--;
}

static size_t op_dirtied(void *ctx, uint64_t *pfns, size_t max)
{
	struct world *w = ctx;
	size_t n = 0;

	while (n < max && w->nr_noted)
		pfns[n++] = w->noted[--w->nr_noted];
	return n;
}

/* --- the log ---------------------------------------------------------------------------------- */

static void others_go_on(struct world *w)
{
	if (w->meanwhile)
		w->meanwhile(w);
}

static void op_log_begin(void *ctx, struct at_log_state *state)
{
	struct world *w = ctx;

	*state = (struct at_log_state){.audit = w->audit_once};
	w->audit_once = false;
	for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++) {
		struct world_log *log = &w->logs[cpu];

		others_go_on(w);
		if (log->changing)
			state->changing[state->nr_changing++] = log->changing;
		others_go_on(w);
		log->end = log->head;
		others_go_on(w);
		state->lost |= log->lost != log->lost_seen;
		log->lost_seen = log->lost;
	}
}

static size_t op_log_next(void *ctx, struct at_record *records, size_t max)
{
	struct world *w = ctx;
	size_t n = 0;

	others_go_on(w);
	for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++) {
		struct world_log *log = &w->logs[cpu];

		while (n < max && log->tail < log->end)
			records[n++] = log->records[log->tail++ % WORLD_LOG_ROOM];
	}
	return n;
}

static bool op_log_pending(void *ctx, uint64_t *entries, size_t *nr)
{
	struct world *w = ctx;

	*nr = 0;
	for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++) {
		struct world_log *log = &w->logs[cpu];

		others_go_on(w);
		if (log->changing)
			entries[(*nr)++] = log->changing;
		others_go_on(w);
		for (uint64_t i = log->tail; i < log->head; i++) {
			if (*nr == AT_PENDING_MAX - WORLD_CPUS)
				return false;
			entries[(*nr)++] = log->records[i % WORLD_LOG_ROOM].pte_gpa;
		}
		others_go_on(w);
		if (log->lost != log->lost_seen)
			return false;
	}
	return true;
}

void world_init(struct world *w, uint64_t frames)
{
	memset(w, 0, sizeof(*w));
	w->frames = frames;
	w->memory = sparse(frames * 4096);
	w->armed = sparse(frames);
	w->noted = sparse(frames * 8);
	w->next_table = 16;
	w->logs = sparse(WORLD_CPUS * sizeof(*w->logs));
	w->log_room = WORLD_LOG_ROOM;
	w->ops = (struct at_ops){
		.table = op_table,
		.clock = op_clock,
		.arm = op_arm,
		.disarm = op_disarm,
		.dirtied = op_dirtied,
		.log_begin = op_log_begin,
		.log_next = op_log_next,
		.log_pending = op_log_pending,
	};
	w->config = (struct at_config){.frames = frames, .ops = &w->ops, .ctx = w};
}

void world_start(struct world *w)
{
	w->at = at_new(&w->config);
	if (!w->at || !at_set_direct_map(w->at, DIRECT_BASE, SLOT))
		ck_abort_msg("no tracker");
}

void world_open(struct world *w, uint64_t frames)
{
	world_init(w, frames);
	world_start(w);
}

void world_close(struct world *w)
{
	at_free(w->at);
	if (w->nr_armed)
		ck_abort_msg("a frame was left armed");
	munmap(w->memory, w->frames * 4096);
	munmap(w->armed, w->frames);
	munmap(w->noted, w->frames * 8);
	munmap(w->logs, WORLD_CPUS * sizeof(*w->logs));
}

uint64_t world_get(const struct world *w, uint64_t pfn, unsigned index)
{
	return w->memory[pfn * 512 + index];
}

void world_walk(struct world *w, uint64_t pfn)
{
	if (!w->armed[pfn])
		return;
	w->armed[pfn] = 0;
	w->nr_armed--;
	w->noted[w->nr_noted++] = pfn;
}

static uint64_t entry_gpa(uint64_t pfn, unsigned index)
{
	return pfn * 4096 + index * 8;
}

void world_name(struct world *w, unsigned cpu, uint64_t pfn, unsigned index)
{
	w->logs[cpu].changing = entry_gpa(pfn, index);
}

void world_store(struct world *w, uint64_t pfn, unsigned index, uint64_t pte)
{
	world_walk(w, pfn);
	w->memory[pfn * 512 + index] = pte;
}

void world_record(struct world *w, unsigned cpu, uint64_t pfn, unsigned index, uint64_t from,
		  uint64_t to)
{
	struct world_log *log = &w->logs[cpu];

	if (log->head - log->tail >= w->log_room) {
		log->lost++;
		return;
	}
	log->records[log->head++ % WORLD_LOG_ROOM] =
		(struct at_record){.pte_gpa = entry_gpa(pfn, index), .from = from, .to = to};
}

void world_unname(struct world *w, unsigned cpu)
{
	w->logs[cpu].changing = 0;
}

void world_set(struct world *w, uint64_t pfn, unsigned index, uint64_t pte)
{
	uint64_t from = world_get(w, pfn, index);

	world_store(w, pfn, index, pte);
	if (w->logging)
		world_record(w, w->cpu, pfn, index, from, pte);
}

void world_copy(struct world *w, uint64_t to, uint64_t from)
{
	for (unsigned i = 0; i < 512; i++)
		world_set(w, to, i, world_get(w, from, i));
}

unsigned va_index(uint64_t va, unsigned level)
{
	return va >> (12 + 9 * (level - 1)) & 511;
}

uint64_t world_map(struct world *w, uint64_t root, uint64_t va, unsigned level, uint64_t pte)
{
	uint64_t table = root;

	for (unsigned l = 4; l > level; l--) {
		uint64_t link = world_get(w, table, va_index(va, l));

		if (!(link & E_P)) {
			link = FRAME(w->next_table++) | E_TABLE;
			world_set(w, table, va_index(va, l), link);
		}
		table = link >> 12 & 0xffffffffffull;
	}
	world_set(w, table, va_index(va, level), pte);
	return table;
}

uint64_t world_table(const struct world *w, uint64_t root, uint64_t va, unsigned level)
{
	uint64_t table = root;

	for (unsigned l = 4; l > level; l--) {
		uint64_t link = world_get(w, table, va_index(va, l));

		if (!(link & E_P))
			ck_abort_msg("no table on the way to %llx", (unsigned long long)va);
		table = link >> 12 & 0xffffffffffull;
	}
	return table;
}

static enum at_verdict pin_below(struct world *w, uint64_t table, unsigned level)
{
	if (at_pinned_level(w->at, table))
		return AT_OK;
	for (unsigned i = 0; i < 512 && level > 1; i++) {
		uint64_t pte = world_get(w, table, i);

		if (!(pte & E_P) || (pte & E_PS))
			continue;
		if (pin_below(w, pte >> 12 & 0xffffffffffull, level - 1) != AT_OK)
			ck_abort_msg("a table could not be pinned at level %u", level - 1);
	}
	return at_pin(w->at, table, level);
}

enum at_verdict world_pin_tree(struct world *w, uint64_t root)
{
	return pin_below(w, root, 4);
}

void world_sync(struct world *w)
{
	if (!at_sync(w->at))
		ck_abort_msg("at_sync() failed");
}

struct at_stats world_stats(const struct world *w)
{
	struct at_stats stats;

	at_get_stats(w->at, &stats);
	return stats;
}

unsigned world_violations(struct world *w, struct at_violation *out)
{
	struct at_violation v;
	unsigned n = 0;

	for (; at_next_violation(w->at, &v); n++)
		if (out)
			*out = v;
	return n;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

#define QUIET_SYNCS 32u
#define AUDIT_SYNCS 256u
#define DIRECT_UNIT (1ull << pte_shift(PT_LEVELS)) /* what an entry of an L4 table maps */
#define KERNEL_HALF 0xffff800000000000ull

static bool config_makes_sense(const struct at_config *config)
{
	const struct at_ops *ops = config->ops;

	if (!ops || !ops->table || config->frames == 0 || config->frames > FRAMES_MAX)
		return false;
	if (!ops->arm != !ops->woken || !ops->disarm != !ops->woken)
		return false;
	if (!ops->log_begin != !ops->log_next || !ops->log_begin != !ops->log_pending)
		return false;
	return config->mode == AT_CHANGES || config->mode == AT_SCAN || config->mode == AT_BLIND ||
	       (config->mode == AT_LOGGED && ops->log_begin);
}

static uint64_t units(uint64_t frames, unsigned level)
{
	unsigned shift = pte_shift(level) - PAGE_SHIFT;

	return (frames + (1ull << shift) - 1) >> shift;
}

static bool counts_init(struct alias_tracker *at)
{
	uint64_t frames = at->config.frames, seed = at->config.seed;

	at->pins_2m = calloc(units(frames, 2), sizeof(*at->pins_2m));
	at->pins_1g = calloc(units(frames, 3), sizeof(*at->pins_1g));
	if (!at->pins_2m || !at->pins_1g)
		return false;
	if (at->config.mode == AT_BLIND)
		return true; /* nothing is followed: nothing is ever counted */
	for (unsigned level = 1; level <= 3; level++)
		if (!count_init(&at->aliases[level - 1], units(frames, level), seed))
			return false;
	return true;
}

struct alias_tracker *at_new(const struct at_config *config)
{
	struct alias_tracker *at;

	if (!config_makes_sense(config)) {
		errno = EINVAL;
		return NULL;
	}
	at = calloc(1, sizeof(*at));
	if (!at)
		return NULL;
	at->config = *config;
	at->ops = *config->ops;
	if (!at->config.quiet_syncs)
		at->config.quiet_syncs = QUIET_SYNCS;
	if (!at->config.audit_syncs)
		at->config.audit_syncs = AUDIT_SYNCS;
	map_init(&at->pins, config->seed);
	map_init(&at->tables, config->seed);
	map_init(&at->nodes, config->seed);
	limbo_init(&at->limbo, config->seed);
	map_init(&at->violations.reported, config->seed);
	log_init(at);
	TAILQ_INIT(&at->by_change);
	TAILQ_INIT(&at->suspects);
	for (unsigned i = 0; i < PT_LEVELS; i++)
		TAILQ_INIT(&at->hot[i]);
	if (!counts_init(at)) {
		at_free(at);
		errno = ENOMEM;
		return NULL;
	}
	return at;
}

void at_free(struct alias_tracker *at)
{
	if (!at)
		return;
	for (size_t i = 0; i < at->nr_roots; i++) {
		struct table *table = table_find(at, at->roots[i]);

		if (table)
			node_drop_root(at, LIST_FIRST(&table->nodes[PT_LEVELS - 1]));
	}
	for (unsigned i = 0; i < 3; i++)
		count_free(&at->aliases[i]);
	free(at->pins_2m);
	free(at->pins_1g);
	limbo_free(&at->limbo);
	log_free(at);
	map_clear(&at->violations.reported);
	map_clear(&at->pins);
	map_clear(&at->tables);
	map_clear(&at->nodes);
	free(at->roots);
	free(at);
}

bool at_set_direct_map(struct alias_tracker *at, uint64_t base, uint64_t size)
{
	if (base % DIRECT_UNIT || size % DIRECT_UNIT || base < KERNEL_HALF || size == 0 ||
	    size - 1 > UINT64_MAX - base || at->pins.used)
		return false;
	at->direct_base = base;
	at->direct_size = size;
	return true;
}

void at_gone_by(struct alias_tracker *at, uint64_t pfn, uint64_t cleared)
{
	limbo_lower(&at->limbo, pfn, cleared);
}

void at_flushed(struct alias_tracker *at, uint64_t since)
{
	limbo_flushed(&at->limbo, since);
}

uint64_t at_gone_at(const struct alias_tracker *at, uint64_t pfn)
{
	return limbo_gone_at(&at->limbo, pfn);
}

static uint64_t memory_bytes(const struct alias_tracker *at)
{
	uint64_t bytes = sizeof(*at);

	for (unsigned i = 0; i < 3; i++)
		bytes += count_bytes(&at->aliases[i]);
	bytes += units(at->config.frames, 2) * sizeof(*at->pins_2m);
	bytes += units(at->config.frames, 3) * sizeof(*at->pins_1g);
	bytes += limbo_bytes(&at->limbo) + map_bytes(&at->violations.reported) + log_bytes(at);
	bytes += map_bytes(&at->pins) + map_bytes(&at->tables) + map_bytes(&at->nodes);
	bytes += at->max_roots * sizeof(*at->roots);
	return bytes + at->tables.used * sizeof(struct table) + at->nr_nodes * sizeof(struct node);
}

void at_get_stats(const struct alias_tracker *at, struct at_stats *out)
{
	*out = (struct at_stats){
		.frames = at->config.frames,
		.pinned = at->pins.used,
		.roots = at->nr_roots,
		.tables = at->tables.used,
		.hot = at->nr_hot,
		.syncs = at->syncs,
		.tables_compared = at->tables_compared,
		.tables_changed = at->tables_changed,
		.entries_changed = at->entries_changed,
		.arms = at->arms,
		.wakes = at->wakes,
		.records = at->log.records,
		.stray_records = at->log.strays,
		.log_losses = at->log.losses,
		.audits = at->log.audits,
		.log_lies = at->log.lies,
		.violations = at->violations.total,
		.memory_bytes = memory_bytes(at),
	};
}

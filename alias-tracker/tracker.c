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
	if (!ops->arm != !ops->dirtied || !ops->disarm != !ops->dirtied)
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

/* One for the leaves of each level. */
static bool leaf_counts_init(const struct alias_tracker *at, struct count *counts)
{
	for (unsigned level = 1; level <= 3; level++)
		if (!count_init(&counts[level - 1], units(at->config.frames, level),
				at->config.seed))
			return false;
	return true;
}

static bool counts_init(struct alias_tracker *at)
{
	uint64_t frames = at->config.frames;

	at->states_2m = calloc(units(frames, 2), sizeof(*at->states_2m));
	at->states_1g = calloc(units(frames, 3), sizeof(*at->states_1g));
	return at->states_2m && at->states_1g &&
	       /* blind, nothing is followed: nothing is ever counted */
	       (at->config.mode == AT_BLIND || leaf_counts_init(at, at->aliases));
}

static void leaf_counts_free(struct count *counts)
{
	for (unsigned i = 0; i < 3; i++)
		count_free(&counts[i]);
}

bool at_count_all(struct alias_tracker *at)
{
	if (at->counts_all || at->config.mode == AT_BLIND)
		return true;
	if (!leaf_counts_init(at, at->mapped) || !nodes_count_all(at)) {
		leaf_counts_free(at->mapped);
		return false;
	}
	limbo_count_all(at);
	at->counts_all = true;
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
	map_init(&at->states, config->seed);
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
	leaf_counts_free(at->aliases);
	leaf_counts_free(at->mapped);
	free(at->states_2m);
	free(at->states_1g);
	limbo_free(&at->limbo);
	log_free(at);
	map_clear(&at->violations.reported);
	map_clear(&at->states);
	map_clear(&at->tables);
	map_clear(&at->nodes);
	free(at->roots);
	free(at);
}

bool at_set_direct_map(struct alias_tracker *at, uint64_t base, uint64_t size)
{
	if (base % DIRECT_UNIT || size % DIRECT_UNIT || base < KERNEL_HALF || size == 0 ||
	    size - 1 > UINT64_MAX - base || at->states.used)
		return false;
	at->direct_base = base;
	at->direct_size = size;
	return true;
}

void at_gone_by(struct alias_tracker *at, uint64_t pfn, struct at_transition to, uint64_t cleared)
{
	limbo_lower(at, pfn, to.to != AT_TO_TABLE, cleared);
}

void at_flushed(struct alias_tracker *at, uint64_t since)
{
	limbo_flushed(&at->limbo, since);
}

uint64_t at_gone_at(const struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	uint64_t gone_at;

	limbo_holds(at, pfn, to, &gone_at);
	return gone_at;
}

static uint64_t memory_bytes(const struct alias_tracker *at)
{
	uint64_t bytes = sizeof(*at);

	for (unsigned i = 0; i < 3; i++)
		bytes += count_bytes(&at->aliases[i]) + count_bytes(&at->mapped[i]);
	bytes += units(at->config.frames, 2) * sizeof(*at->states_2m);
	bytes += units(at->config.frames, 3) * sizeof(*at->states_1g);
	bytes += limbo_bytes(&at->limbo) + map_bytes(&at->violations.reported) + log_bytes(at);
	bytes += map_bytes(&at->states) + map_bytes(&at->tables) + map_bytes(&at->nodes);
	bytes += at->max_roots * sizeof(*at->roots);
	return bytes + at->tables.used * sizeof(struct table) + at->entries_bytes +
	       at->nr_nodes * sizeof(struct node);
}

void at_get_stats(const struct alias_tracker *at, struct at_stats *out)
{
	*out = (struct at_stats){
		.frames = at->config.frames,
		.pinned = at->states.used - at->nr_given - at->nr_typed,
		.roots = at->nr_roots,
		.given = at->nr_given,
		.typed = at->nr_typed,
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

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

#define QUIET_SYNCS 128u
#define AUDIT_SYNCS 256u
/* A process has about so many tables: one that comes takes the memory of one that went. */
#define SPARE_TABLES 32u

static const bool never; /* wants a call to leave off */

static bool config_makes_sense(const struct at_config *config)
{
	const struct at_ops *ops = config->ops;

	if (config->levels && config->levels != 4 && config->levels != 5)
		return false;
	if (!ops || !ops->table || config->frames == 0 || config->frames > FRAMES_MAX)
		return false;
	if (!ops->arm != !ops->dirtied || !ops->disarm != !ops->dirtied)
		return false;
	if (!ops->log_begin != !ops->log_next || !ops->log_begin != !ops->log_pending)
		return false;
	return config->mode == AT_CHANGES || config->mode == AT_SCAN || config->mode == AT_BLIND ||
	       (config->mode == AT_LOGGED && ops->log_begin);
}

bool at_count_all(struct alias_tracker *at)
{
	if (at->counts_all || at->config.mode == AT_BLIND)
		return true;
	at->counts_all = true;
	if (!roles_count_all(at)) {
		mapped_counts_clear(&at->frames);
		at->counts_all = false;
		return false;
	}
	tlb_pending_count_all(at);
	return true;
}

/* Whole regions. */
static uint64_t nr_places(const struct at_config *config)
{
	return (config->frames + RADIX - 1) / RADIX * RADIX;
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
	at->levels = config->levels ? config->levels : 4;
	if (!at->config.quiet_syncs)
		at->config.quiet_syncs = QUIET_SYNCS;
	if (!at->config.stop)
		at->config.stop = &never;
	if (!at->config.audit_syncs)
		at->config.audit_syncs = AUDIT_SYNCS;
	tlb_pending_init(&at->tlb_pending, config->seed);
	map_init(&at->violations.reported, config->seed);
	log_init(at);
	TAILQ_INIT(&at->by_change);
	TAILQ_INIT(&at->spare);
	at->max_spare =
		config->reserve_tables > SPARE_TABLES ? config->reserve_tables : SPARE_TABLES;
	TAILQ_INIT(&at->recheck_queue);
	for (unsigned i = 0; i < PT_LEVELS_MAX; i++) {
		TAILQ_INIT(&at->hot[i]);
		STAILQ_INIT(&at->outdated[i]);
	}
	if (config->keep_places)
		at->places = calloc(nr_places(config), sizeof(*at->places));
	if (!frames_init(&at->frames, config->frames) || (config->keep_places && !at->places) ||
	    !tables_reserve(at, config->reserve_tables)) {
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
	tables_free(at);
	tlb_pending_free(&at->tlb_pending);
	mismatches_drop(at);
	survey_free(at->survey);
	map_clear(&at->violations.reported);
	frames_free(&at->frames);
	free(at->places);
	free(at->roots.pfn);
	free(at->follows.pfn);
	free(at);
}

void at_gone_by(struct alias_tracker *at, uint64_t pfn, struct at_transition to, uint64_t cleared)
{
	tlb_pending_lower(at, pfn, to.to != AT_TO_TABLE, cleared);
}

void at_flushed(struct alias_tracker *at, uint64_t since)
{
	tlb_pending_flushed(&at->tlb_pending, since);
}

uint64_t at_gone_at(const struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	uint64_t gone_at;

	tlb_pending_holds(at, pfn, to, &gone_at);
	return gone_at;
}

static uint64_t memory_bytes(const struct alias_tracker *at)
{
	uint64_t bytes = sizeof(*at) + at->frames.bytes;

	if (at->places)
		bytes += nr_places(&at->config) * sizeof(*at->places);
	bytes += tlb_pending_bytes(&at->tlb_pending) + map_bytes(&at->violations.reported) +
		 log_bytes(at) + survey_bytes(at->survey);
	return bytes + (at->roots.max + at->follows.max) * sizeof(uint64_t) + tables_bytes(at);
}

void at_get_stats(const struct alias_tracker *at, struct at_stats *out)
{
	*out = (struct at_stats){
		.frames = at->config.frames,
		.pinned = at->nr_states - at->nr_in_state[STATE_BALLOONED] -
			  at->nr_in_state[STATE_MEMTYPE],
		.roots = at->roots.nr,
		.followed = at->follows.nr,
		.ballooned = at->nr_in_state[STATE_BALLOONED],
		.memtyped = at->nr_in_state[STATE_MEMTYPE],
		.tables = at->nr_tables,
		.hot = at->nr_hot,
		.syncs = at->syncs,
		.tables_compared = at->tables_compared,
		.tables_changed = at->tables_changed,
		.entries_changed = at->entries_changed,
		.arms = at->arms,
		.dirtied = at->dirtied,
		.records = at->log.records,
		.stray_records = at->log.strays,
		.log_losses = at->log.losses,
		.audits = at->log.audits,
		.log_mismatches = at->log.nr_mismatches,
		.violations = at->violations.total,
		.findings_dropped = survey_dropped(at->survey),
		.memory_bytes = memory_bytes(at),
	};
}

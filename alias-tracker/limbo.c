/* SPDX-License-Identifier: MIT */
/*
 * A frame whose last writable alias is gone from the tables can still be written through a TLB.
 * It stays in limbo until there is evidence of a flush after the alias was found gone: the guest's,
 * or that of who owns the tracker. And so, by itself, does a frame whose last mapping of any kind
 * is gone.
 */
#include <stdlib.h>

#include "internal.h"

#define LIMBO_MAX 4096u

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void limbo_init(struct limbo *limbo, uint64_t seed)
{
	*limbo = (struct limbo){0};
	map_init(&limbo->cleared, seed);
	map_init(&limbo->now, seed);
}

void limbo_free(struct limbo *limbo)
{
	map_clear(&limbo->cleared);
	map_clear(&limbo->now);
	free(limbo->pending);
}

void limbo_add(struct limbo *limbo, uint64_t name)
{
	if (limbo->nr_pending == limbo->max_pending) {
		size_t more = limbo->max_pending ? limbo->max_pending * 2 : 64;
		uint64_t *grown = NULL;

		if (more <= LIMBO_MAX)
			grown = realloc(limbo->pending, more * sizeof(*grown));
		if (!grown) {
			limbo->overflow = true;
			return;
		}
		limbo->pending = grown;
		limbo->max_pending = more;
	}
	limbo->pending[limbo->nr_pending++] = name;
}

void limbo_lose_one(struct limbo *limbo)
{
	limbo->losing = true;
}

void limbo_cancel(struct limbo *limbo)
{
	limbo->nr_pending = 0;
	limbo->overflow = false;
	limbo->losing = false;
}

static void forget_stamps(struct limbo *limbo)
{
	map_clear(&limbo->cleared);
	map_clear(&limbo->now);
}

static void forget_all(struct limbo *limbo)
{
	forget_stamps(limbo);
	limbo->newest = (struct stamp){0};
	limbo->floor = (struct stamp){0};
}

void limbo_flushed(struct limbo *limbo, uint64_t since)
{
	if (since > limbo->uncounted.now)
		limbo->uncounted = (struct stamp){0};
	if (since > limbo->lost_one.now)
		limbo->lost_one = (struct stamp){0};
	if (since > limbo->newest.now)
		forget_all(limbo);
	else
		limbo->flushed_all = max(limbo->flushed_all, since);
}

/* Both or neither. */
static bool stamp_put(struct limbo *limbo, uint64_t name, const struct stamp *stamp)
{
	if (limbo->cleared.used >= LIMBO_MAX || !map_put(&limbo->cleared, name, stamp->cleared))
		return false;
	if (map_put(&limbo->now, name, 1 + stamp->now))
		return true;
	map_delete(&limbo->cleared, name);
	return false;
}

/* One stamp for everything, where single ones don't fit. */
static void suspect_all(struct limbo *limbo)
{
	forget_stamps(limbo);
	limbo->floor = limbo->newest;
}

static void stamp_raise(struct stamp *stamp, const struct stamp *to)
{
	stamp->cleared = max(stamp->cleared, to->cleared);
	stamp->now = max(stamp->now, to->now);
}

/* Such a leaf maps the unit again. */
static bool is_back(const struct alias_tracker *at, uint64_t name)
{
	const struct count *counts = name & 4 ? at->mapped : at->aliases;

	return count_any(&counts[(name & 3) - 1], name >> 3);
}

static void stamp_pending(struct alias_tracker *at, const struct stamp *stamp)
{
	struct limbo *limbo = &at->limbo;
	bool fits = !limbo->overflow, any = limbo->overflow;

	for (size_t i = 0; i < limbo->nr_pending; i++) {
		uint64_t name = limbo->pending[i];

		if (is_back(at, name)) {
			limbo->losing = true;
			continue;
		}
		any = true;
		fits = fits && stamp_put(limbo, name, stamp);
	}
	if (limbo->losing)
		stamp_raise(&limbo->lost_one, stamp);
	if (!any)
		return;
	stamp_raise(&limbo->newest, stamp);
	if (!fits)
		suspect_all(limbo);
}

static struct at_clock read_clock(const struct alias_tracker *at)
{
	return at->ops.clock ? at->ops.clock(at->config.ctx) : (struct at_clock){.cleared = 1};
}

void limbo_settle(struct alias_tracker *at)
{
	struct limbo *limbo = &at->limbo;
	struct at_clock clock = read_clock(at);

	limbo->flushed = clock.flushed;
	if (clock.flushed >= limbo->newest.cleared)
		forget_all(limbo);
	if (clock.flushed < clock.cleared)
		stamp_pending(at, &(struct stamp){.cleared = clock.cleared, .now = clock.now});
	limbo_cancel(limbo);
}

/* What went before can't be told from what may have been a leaf, and is as young as this. */
void limbo_count_all(struct alias_tracker *at)
{
	struct at_clock clock = read_clock(at);

	at->limbo.uncounted = (struct stamp){.cleared = clock.cleared, .now = clock.now};
}

static void lower(struct limbo *limbo, uint64_t name, uint64_t cleared)
{
	if (cleared < map_get(&limbo->cleared, name))
		map_put(&limbo->cleared, name, cleared); /* replaces: cannot fail */
}

/* The stamp of writable leaves goes on standing for the others if nothing was said of those. */
static bool keep_for_others(struct limbo *limbo, uint64_t pfn)
{
	uint64_t from = unit_name(pfn, 1, false), to = unit_name(pfn, 1, true);
	struct stamp stamp = {
		.cleared = max(map_get(&limbo->cleared, from), map_get(&limbo->cleared, to)),
		.now = max(map_get(&limbo->now, from), map_get(&limbo->now, to)),
	};

	if (!map_get(&limbo->cleared, from))
		return true;
	stamp.now--; /* as it is in the map */
	return stamp_put(limbo, to, &stamp);
}

void limbo_lower(struct alias_tracker *at, uint64_t pfn, bool all, uint64_t cleared)
{
	struct limbo *limbo = &at->limbo;

	if (!cleared)
		return;
	if (all)
		lower(limbo, unit_name(pfn, 1, true), cleared);
	else if (at->counts_all && !keep_for_others(limbo, pfn))
		return;
	lower(limbo, unit_name(pfn, 1, false), cleared);
}

/* Adds a stamp to what is asked, unless one of the clocks says that it is over. */
static bool stamp_holds(const struct limbo *limbo, const struct stamp *stamp, uint64_t *gone_at)
{
	if (limbo->flushed >= stamp->cleared || limbo->flushed_all > stamp->now)
		return false;
	*gone_at = max(*gone_at, stamp->now);
	return true;
}

/* The unit's own stamp, and the floor for what has none. */
static bool unit_holds(const struct limbo *limbo, uint64_t name, uint64_t *gone_at)
{
	struct stamp stamp = {.cleared = map_get(&limbo->cleared, name)};

	if (stamp.cleared)
		stamp.now = map_get(&limbo->now, name) - 1;
	stamp_raise(&stamp, &limbo->floor);
	return stamp_holds(limbo, &stamp, gone_at);
}

static bool frame_holds(const struct limbo *limbo, uint64_t pfn, bool all, uint64_t *gone_at)
{
	bool holds = false;

	if (limbo->flushed >= limbo->newest.cleared)
		return false;
	for (unsigned level = 1; level <= 3; level++) {
		uint64_t unit = pfn >> (pte_shift(level) - PAGE_SHIFT);

		holds |= unit_holds(limbo, unit_name(unit, level, false), gone_at);
		if (all)
			holds |= unit_holds(limbo, unit_name(unit, level, true), gone_at);
	}
	return holds;
}

bool limbo_holds(const struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		 uint64_t *gone_at)
{
	const struct limbo *limbo = &at->limbo;
	bool all = to.to != AT_TO_TABLE, holds;

	*gone_at = 0;
	holds = frame_holds(limbo, pfn, all, gone_at);
	if (!all)
		return holds;
	holds |= stamp_holds(limbo, &limbo->uncounted, gone_at);
	if (at_is_mapped(at, pfn))
		holds |= stamp_holds(limbo, &limbo->lost_one, gone_at);
	return holds;
}

size_t limbo_bytes(const struct limbo *limbo)
{
	return map_bytes(&limbo->cleared) + map_bytes(&limbo->now) +
	       limbo->max_pending * sizeof(*limbo->pending);
}

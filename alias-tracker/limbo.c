/* SPDX-License-Identifier: MIT */
/*
 * A frame whose last writable alias is gone from the tables can still be written through a TLB.
 * It stays in limbo until there is evidence of a flush after the alias was found gone: the guest's,
 * or that of who owns the tracker.
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

void limbo_cancel(struct limbo *limbo)
{
	limbo->nr_pending = 0;
	limbo->overflow = false;
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

static void stamp_pending(struct alias_tracker *at, const struct stamp *stamp)
{
	struct limbo *limbo = &at->limbo;
	bool fits = !limbo->overflow, any = limbo->overflow;

	for (size_t i = 0; i < limbo->nr_pending; i++) {
		uint64_t name = limbo->pending[i];

		if (count_any(&at->aliases[(name & 3) - 1], name >> 2))
			continue; /* mapped again meanwhile */
		any = true;
		fits = fits && stamp_put(limbo, name, stamp);
	}
	if (!any)
		return;
	limbo->newest.cleared = max(limbo->newest.cleared, stamp->cleared);
	limbo->newest.now = max(limbo->newest.now, stamp->now);
	if (!fits)
		suspect_all(limbo);
}

void limbo_settle(struct alias_tracker *at)
{
	struct limbo *limbo = &at->limbo;
	struct at_clock clock = {.cleared = 1, .flushed = 0};

	if (at->ops.clock)
		clock = at->ops.clock(at->config.ctx);
	limbo->flushed = clock.flushed;
	if (clock.flushed >= limbo->newest.cleared)
		forget_all(limbo);
	if (clock.flushed < clock.cleared)
		stamp_pending(at, &(struct stamp){.cleared = clock.cleared, .now = clock.now});
	limbo_cancel(limbo);
}

void limbo_lower(struct limbo *limbo, uint64_t pfn, uint64_t cleared)
{
	uint64_t name = unit_name(pfn, 1);

	if (cleared && cleared < map_get(&limbo->cleared, name))
		map_put(&limbo->cleared, name, cleared); /* replaces: cannot fail */
}

/* Is there a stamp of that unit, or the floor where it has none of its own, and neither clock says
 * that it is over? */
static bool unit_holds(const struct limbo *limbo, uint64_t name, uint64_t *gone_at)
{
	uint64_t cleared = map_get(&limbo->cleared, name), now = limbo->floor.now;

	if (cleared)
		now = max(now, map_get(&limbo->now, name) - 1);
	cleared = max(cleared, limbo->floor.cleared);
	*gone_at = now;
	return limbo->flushed < cleared && limbo->flushed_all <= now;
}

static bool frame_holds(const struct limbo *limbo, uint64_t pfn, uint64_t *gone_at)
{
	bool holds = false;

	*gone_at = 0;
	if (limbo->flushed >= limbo->newest.cleared)
		return false;
	for (unsigned level = 1; level <= 3; level++) {
		uint64_t unit = pfn >> (pte_shift(level) - PAGE_SHIFT), at;

		if (!unit_holds(limbo, unit_name(unit, level), &at))
			continue;
		holds = true;
		*gone_at = max(*gone_at, at);
	}
	return holds;
}

bool limbo_holds(const struct limbo *limbo, uint64_t pfn)
{
	uint64_t gone_at;

	return frame_holds(limbo, pfn, &gone_at);
}

uint64_t limbo_gone_at(const struct limbo *limbo, uint64_t pfn)
{
	uint64_t gone_at;

	frame_holds(limbo, pfn, &gone_at);
	return gone_at;
}

size_t limbo_bytes(const struct limbo *limbo)
{
	return map_bytes(&limbo->cleared) + map_bytes(&limbo->now) +
	       limbo->max_pending * sizeof(*limbo->pending);
}

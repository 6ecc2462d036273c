/* SPDX-License-Identifier: MIT */
/*
 * A frame whose last writable alias is gone from the tables can still be written through a TLB.
 * It stays in limbo until there is evidence of a flush after the alias was found gone: the guest's,
 * or that of who owns the tracker. And so, by itself, does a frame whose last mapping of any kind
 * is gone.
 */
#include <stdlib.h>

#include "internal.h"

#define LIMBO_MAX   4096u
#define STAMPS_KEPT 512u

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void limbo_init(struct limbo *limbo, uint64_t seed)
{
	*limbo = (struct limbo){0};
	map_init(&limbo->index, seed);
}

void limbo_free(struct limbo *limbo)
{
	map_clear(&limbo->index);
	free(limbo->stamps);
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

static void free_stamps(struct limbo *limbo)
{
	map_clear(&limbo->index);
	free(limbo->stamps);
	limbo->stamps = NULL;
	limbo->max_stamps = 0;
}

static void forget_all(struct limbo *limbo)
{
	if (limbo->max_stamps > STAMPS_KEPT)
		free_stamps(limbo);
	else
		map_empty(&limbo->index);
	limbo->large = false;
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

static struct stamp *stamp_find(const struct limbo *limbo, uint64_t name)
{
	uint64_t at = map_get(&limbo->index, name);

	return at ? &limbo->stamps[at - 1] : NULL;
}

/* Makes room for one stamp more. */
static bool stamps_grow(struct limbo *limbo)
{
	size_t more = limbo->max_stamps ? limbo->max_stamps * 2 : 64;
	struct stamp *grown = NULL;

	if (more <= LIMBO_MAX)
		grown = realloc(limbo->stamps, more * sizeof(*grown));
	if (!grown)
		return false;
	limbo->stamps = grown;
	limbo->max_stamps = more;
	return true;
}

/* False: there is no room. */
static bool stamp_put(struct limbo *limbo, uint64_t name, const struct stamp *stamp)
{
	size_t nr = limbo->index.used;
	struct map_slot *slot;

	if (nr == limbo->max_stamps && !map_find(&limbo->index, name) && !stamps_grow(limbo))
		return false;
	slot = map_make(&limbo->index, name);
	if (!slot)
		return false;
	if (!slot->value)
		slot->value = 1 + nr;
	limbo->stamps[slot->value - 1] = *stamp;
	limbo->large |= (name & 3) > 1;
	return true;
}

/* One stamp for everything, where single ones don't fit. */
static void suspect_all(struct limbo *limbo)
{
	map_empty(&limbo->index);
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
	unsigned level = name & 3;

	return leaf_count(&at->frames, name & 4 ? COUNT_MAPPED : COUNT_WRITABLE, level,
			  name >> 3 << (level - 1) * 9) > 0;
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
	struct stamp *stamp = stamp_find(limbo, name);

	if (stamp && cleared < stamp->cleared)
		stamp->cleared = cleared;
}

/* The stamp of writable leaves goes on standing for the others if nothing was said of those. */
static bool keep_for_others(struct limbo *limbo, uint64_t pfn)
{
	const struct stamp *from = stamp_find(limbo, unit_name(pfn, 1, false));
	const struct stamp *to = stamp_find(limbo, unit_name(pfn, 1, true));
	struct stamp stamp;

	if (!from)
		return true;
	stamp = *from;
	if (to)
		stamp_raise(&stamp, to);
	return stamp_put(limbo, unit_name(pfn, 1, true), &stamp);
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
	const struct stamp *own = stamp_find(limbo, name);
	struct stamp stamp = limbo->floor;

	if (own)
		stamp_raise(&stamp, own);
	return stamp_holds(limbo, &stamp, gone_at);
}

static bool frame_holds(const struct limbo *limbo, uint64_t pfn, bool all, uint64_t *gone_at)
{
	bool holds = false;

	if (limbo->flushed >= limbo->newest.cleared)
		return false;
	for (unsigned level = 1; level <= (limbo->large ? 3 : 1); level++) {
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
	return map_bytes(&limbo->index) + limbo->max_stamps * sizeof(*limbo->stamps) +
	       limbo->max_pending * sizeof(*limbo->pending);
}

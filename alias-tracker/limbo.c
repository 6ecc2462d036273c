/* SPDX-License-Identifier: MIT */
/*
 * A frame whose last writable alias is gone from the tables can still be written through a TLB.
 * It stays in limbo until there is evidence of a flush after the alias was found gone.
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
	map_init(&limbo->stamps, seed);
}

void limbo_free(struct limbo *limbo)
{
	map_clear(&limbo->stamps);
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

void limbo_forget(struct limbo *limbo)
{
	map_clear(&limbo->stamps);
	limbo->newest = 0;
	limbo->floor = 0;
}

/* One stamp for everything, where single ones don't fit. */
static void suspect_all(struct limbo *limbo)
{
	map_clear(&limbo->stamps);
	limbo->floor = limbo->newest;
}

static void stamp_pending(struct alias_tracker *at, uint64_t cleared)
{
	struct limbo *limbo = &at->limbo;
	bool fits = !limbo->overflow;

	for (size_t i = 0; i < limbo->nr_pending; i++) {
		uint64_t name = limbo->pending[i];

		if (count_any(&at->aliases[(name & 3) - 1], name >> 2))
			continue; /* mapped again meanwhile */
		limbo->newest = max(limbo->newest, cleared);
		fits = fits && limbo->stamps.used < LIMBO_MAX &&
		       map_put(&limbo->stamps, name, cleared);
	}
	if (!fits) {
		limbo->newest = max(limbo->newest, cleared);
		suspect_all(limbo);
	}
}

void limbo_settle(struct alias_tracker *at)
{
	struct limbo *limbo = &at->limbo;
	struct at_clock clock = {.cleared = 1, .flushed = 0};

	if (at->ops.clock)
		clock = at->ops.clock(at->config.ctx);
	limbo->flushed = clock.flushed;
	if (clock.flushed >= limbo->newest)
		limbo_forget(limbo);
	if (clock.flushed < clock.cleared)
		stamp_pending(at, clock.cleared);
	limbo_cancel(limbo);
}

void limbo_lower(struct limbo *limbo, uint64_t pfn, uint64_t stamp)
{
	uint64_t name = unit_name(pfn, 1);

	if (stamp < map_get(&limbo->stamps, name))
		map_put(&limbo->stamps, name, stamp); /* replaces: cannot fail */
}

bool limbo_holds(const struct limbo *limbo, uint64_t pfn)
{
	if (limbo->flushed >= limbo->newest)
		return false;
	uint64_t stamp = limbo->floor;

	for (unsigned level = 1; level <= 3; level++) {
		uint64_t unit = pfn >> (pte_shift(level) - PAGE_SHIFT);

		stamp = max(stamp, map_get(&limbo->stamps, unit_name(unit, level)));
	}
	return limbo->flushed < stamp;
}

size_t limbo_bytes(const struct limbo *limbo)
{
	return map_bytes(&limbo->stamps) + limbo->max_pending * sizeof(*limbo->pending);
}

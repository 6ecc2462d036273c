/* SPDX-License-Identifier: MIT */
/*
 * TLB-pending frames. A frame whose last writable leaf is gone from the tables can still be written
 * through a TLB. It is pending until there is evidence of a flush after the leaf was found gone:
 * the guest's, or that of the tracker's owner. So, by itself, is a frame whose last leaf of any
 * kind is gone.
 */
#include <stdlib.h>

#include "internal.h"

#define TLB_PENDING_MAX 4096u
#define STAMPS_KEPT     512u

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void tlb_pending_init(struct tlb_pending *tlb, uint64_t seed)
{
	*tlb = (struct tlb_pending){0};
	map_init(&tlb->index, seed);
}

void tlb_pending_free(struct tlb_pending *tlb)
{
	map_clear(&tlb->index);
	free(tlb->stamps);
	free(tlb->pending);
}

void tlb_pending_add_more(struct tlb_pending *tlb, uint64_t name)
{
	size_t more = tlb->max_pending ? tlb->max_pending * 2 : 64;
	uint64_t *grown = NULL;

	if (more <= TLB_PENDING_MAX)
		grown = realloc(tlb->pending, more * sizeof(*grown));
	if (!grown) {
		tlb->overflow = true;
		return;
	}
	tlb->pending = grown;
	tlb->max_pending = more;
	tlb->pending[tlb->nr_pending++] = name;
}

void tlb_pending_lose_one(struct tlb_pending *tlb)
{
	tlb->losing = true;
}

void tlb_pending_cancel(struct tlb_pending *tlb)
{
	tlb->nr_pending = 0;
	tlb->overflow = false;
	tlb->losing = false;
	tlb->gaining = false;
}

static void free_stamps(struct tlb_pending *tlb)
{
	map_clear(&tlb->index);
	free(tlb->stamps);
	tlb->stamps = NULL;
	tlb->max_stamps = 0;
}

static void forget_all(struct tlb_pending *tlb)
{
	if (tlb->max_stamps > STAMPS_KEPT)
		free_stamps(tlb);
	else
		map_empty(&tlb->index);
	tlb->large = false;
	tlb->newest = (struct stamp){0};
	tlb->floor = (struct stamp){0};
}

void tlb_pending_flushed(struct tlb_pending *tlb, uint64_t since)
{
	if (since > tlb->uncounted.now)
		tlb->uncounted = (struct stamp){0};
	if (since > tlb->lost_one.now)
		tlb->lost_one = (struct stamp){0};
	if (since > tlb->newest.now)
		forget_all(tlb);
	else
		tlb->flushed_all = max(tlb->flushed_all, since);
}

static struct stamp *stamp_find(const struct tlb_pending *tlb, uint64_t name)
{
	uint64_t at = map_get(&tlb->index, name);

	return at ? &tlb->stamps[at - 1] : NULL;
}

/* Makes room for one stamp more. */
static bool stamps_grow(struct tlb_pending *tlb)
{
	size_t more = tlb->max_stamps ? tlb->max_stamps * 2 : 64;
	struct stamp *grown = NULL;

	if (more <= TLB_PENDING_MAX)
		grown = realloc(tlb->stamps, more * sizeof(*grown));
	if (!grown)
		return false;
	tlb->stamps = grown;
	tlb->max_stamps = more;
	return true;
}

/* False: there is no room. */
__attribute__((always_inline)) static inline bool stamp_put(struct tlb_pending *tlb, uint64_t name,
							    const struct stamp *stamp)
{
	size_t nr = tlb->index.used;
	struct map_slot *slot;

	if (nr == tlb->max_stamps && !stamps_grow(tlb) && !map_find(&tlb->index, name))
		return false;
	slot = map_make(&tlb->index, name);
	if (!slot)
		return false;
	if (!slot->value)
		slot->value = 1 + nr;
	tlb->stamps[slot->value - 1] = *stamp;
	tlb->large |= (name & 3) > 1;
	return true;
}

/* One stamp for everything, where single ones don't fit. */
static void all_pending(struct tlb_pending *tlb)
{
	map_empty(&tlb->index);
	tlb->floor = tlb->newest;
}

static void stamp_raise(struct stamp *stamp, const struct stamp *to)
{
	stamp->cleared = max(stamp->cleared, to->cleared);
	stamp->now = max(stamp->now, to->now);
}

/* Such a leaf maps the unit again. Most are writable ones of 4 KiB. */
static bool is_back(const struct alias_tracker *at, uint64_t name)
{
	unsigned level = name & 3;
	const struct region *region;

	if ((name & 7) == 1) {
		region = region_find(&at->frames, name >> 3);
		return region && count_any(&region->writable, (name >> 3) % RADIX);
	}
	return leaf_count(&at->frames, name & 4 ? COUNT_MAPPED : COUNT_WRITABLE, level,
			  name >> 3 << (level - 1) * 9) > 0;
}

static void stamp_pending(struct alias_tracker *at, const struct at_clock *clock)
{
	const struct stamp stamp = {.cleared = clock->cleared, .now = clock->now};
	struct tlb_pending *tlb = &at->tlb_pending;
	bool fits = !tlb->overflow, any = tlb->overflow;

	for (size_t i = 0; i < tlb->nr_pending; i++) {
		uint64_t name = tlb->pending[i];

		if (tlb->gaining && is_back(at, name)) {
			tlb->losing = true;
			continue;
		}
		any = true;
		fits = fits && stamp_put(tlb, name, &stamp);
	}
	if (tlb->losing)
		stamp_raise(&tlb->lost_one, &stamp);
	if (!any)
		return;
	stamp_raise(&tlb->newest, &stamp);
	if (!fits)
		all_pending(tlb);
}

static struct at_clock read_clock(const struct alias_tracker *at)
{
	return at->ops.clock ? at->ops.clock(at->config.ctx) : (struct at_clock){.cleared = 1};
}

__attribute__((noinline)) static void settle_some(struct alias_tracker *at,
						  const struct at_clock *clock)
{
	struct tlb_pending *tlb = &at->tlb_pending;

	if (tlb->newest.cleared && clock->flushed >= tlb->newest.cleared)
		forget_all(tlb);
	if (clock->flushed < clock->cleared && (tlb->nr_pending || tlb->overflow || tlb->losing))
		stamp_pending(at, clock);
}

void tlb_pending_settle(struct alias_tracker *at)
{
	struct tlb_pending *tlb = &at->tlb_pending;
	struct at_clock clock = read_clock(at);

	tlb->flushed = clock.flushed;
	if (tlb->newest.cleared || clock.flushed < clock.cleared)
		settle_some(at, &clock);
	tlb_pending_cancel(tlb);
}

/* What went before can't be told from what may have been a leaf, and is as young as this. */
void tlb_pending_count_all(struct alias_tracker *at)
{
	struct at_clock clock = read_clock(at);

	at->tlb_pending.uncounted = (struct stamp){.cleared = clock.cleared, .now = clock.now};
}

static void stamp_lower(struct tlb_pending *tlb, uint64_t name, uint64_t cleared)
{
	struct stamp *stamp = stamp_find(tlb, name);

	if (stamp && cleared < stamp->cleared)
		stamp->cleared = cleared;
}

/* The stamp of writable leaves goes on standing for the others if nothing was said of those. */
static bool keep_for_others(struct tlb_pending *tlb, uint64_t pfn)
{
	const struct stamp *from = stamp_find(tlb, unit_name(pfn, 1, false));
	const struct stamp *to = stamp_find(tlb, unit_name(pfn, 1, true));
	struct stamp stamp;

	if (!from)
		return true;
	stamp = *from;
	if (to)
		stamp_raise(&stamp, to);
	return stamp_put(tlb, unit_name(pfn, 1, true), &stamp);
}

void tlb_pending_lower(struct alias_tracker *at, uint64_t pfn, bool all, uint64_t cleared)
{
	struct tlb_pending *tlb = &at->tlb_pending;

	if (!cleared)
		return;
	if (all)
		stamp_lower(tlb, unit_name(pfn, 1, true), cleared);
	else if (at->counts_all && !keep_for_others(tlb, pfn))
		return;
	stamp_lower(tlb, unit_name(pfn, 1, false), cleared);
}

/* Adds a stamp to what is asked, unless one of the clocks says that it is over. */
static bool stamp_holds(const struct tlb_pending *tlb, const struct stamp *stamp, uint64_t *gone_at)
{
	if (tlb->flushed >= stamp->cleared || tlb->flushed_all > stamp->now)
		return false;
	*gone_at = max(*gone_at, stamp->now);
	return true;
}

/* The unit's own stamp, and the floor for what has none. */
static bool unit_holds(const struct tlb_pending *tlb, uint64_t name, uint64_t *gone_at)
{
	const struct stamp *own = stamp_find(tlb, name);
	struct stamp stamp = tlb->floor;

	if (own)
		stamp_raise(&stamp, own);
	return stamp_holds(tlb, &stamp, gone_at);
}

static bool frame_holds(const struct tlb_pending *tlb, uint64_t pfn, bool all, uint64_t *gone_at)
{
	bool holds = false;

	if (!tlb_pending_any(tlb))
		return false;
	for (unsigned level = 1; level <= (tlb->large ? 3 : 1); level++) {
		uint64_t unit = pfn >> (pte_shift(level) - PAGE_SHIFT);

		holds |= unit_holds(tlb, unit_name(unit, level, false), gone_at);
		if (all)
			holds |= unit_holds(tlb, unit_name(unit, level, true), gone_at);
	}
	return holds;
}

bool tlb_pending_holds(const struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		       uint64_t *gone_at)
{
	const struct tlb_pending *tlb = &at->tlb_pending;
	bool all = to.to != AT_TO_TABLE, holds;

	*gone_at = 0;
	holds = frame_holds(tlb, pfn, all, gone_at);
	if (!all)
		return holds;
	holds |= stamp_holds(tlb, &tlb->uncounted, gone_at);
	if (at_is_mapped(at, pfn))
		holds |= stamp_holds(tlb, &tlb->lost_one, gone_at);
	return holds;
}

size_t tlb_pending_bytes(const struct tlb_pending *tlb)
{
	return map_bytes(&tlb->index) + tlb->max_stamps * sizeof(*tlb->stamps) +
	       tlb->max_pending * sizeof(*tlb->pending);
}

/* SPDX-License-Identifier: MIT */
/* What frames have become, and which mappings they do not bear as that. */
#include <stdlib.h>

#include "internal.h"

/* Values of at->states: in the low three bits the level of a page table, or one of these. Above
 * them a root's index into at->roots, or the type. */
#define STATE_GIVEN 5u
#define STATE_TYPED 6u

static uint64_t state_value(const struct alias_tracker *at, struct at_transition to)
{
	switch (to.to) {
	case AT_TO_TABLE:
		return (uint64_t)at->nr_roots << 3 | to.arg;
	case AT_TO_MEMTYPE:
		return (uint64_t)to.arg << 3 | STATE_TYPED;
	default:
		return STATE_GIVEN;
	}
}

bool state_is_ordinary(const struct alias_tracker *at, uint64_t pfn)
{
	return !map_get(&at->states, pfn);
}

unsigned at_pinned_level(const struct alias_tracker *at, uint64_t pfn)
{
	unsigned low = map_get(&at->states, pfn) & 7;

	return low <= PT_LEVELS ? low : 0;
}

bool at_is_ballooned(const struct alias_tracker *at, uint64_t pfn)
{
	return map_get(&at->states, pfn) == STATE_GIVEN;
}

unsigned at_memtype(const struct alias_tracker *at, uint64_t pfn)
{
	uint64_t value = map_get(&at->states, pfn);

	return (value & 7) == STATE_TYPED ? value >> 3 : 0;
}

/* --- becoming --------------------------------------------------------------------------------- */

static bool root_append(struct alias_tracker *at, uint64_t pfn)
{
	if (at->nr_roots == at->max_roots) {
		size_t more = at->max_roots ? at->max_roots * 2 : 16;
		uint64_t *grown = realloc(at->roots, more * sizeof(*grown));

		if (!grown)
			return false;
		at->roots = grown;
		at->max_roots = more;
	}
	at->roots[at->nr_roots++] = pfn;
	return true;
}

static void root_remove(struct alias_tracker *at, size_t index)
{
	uint64_t moved = at->roots[--at->nr_roots];

	at->roots[index] = moved;
	/* replaces: cannot fail */
	map_put(&at->states, moved, (uint64_t)index << 3 | PT_LEVELS);
}

void state_clear(struct alias_tracker *at, uint64_t pfn)
{
	uint64_t value = map_get(&at->states, pfn);

	if ((value & 7) == PT_LEVELS)
		root_remove(at, value >> 3);
	at->nr_given -= (value & 7) == STATE_GIVEN;
	at->nr_typed -= (value & 7) == STATE_TYPED;
	at->states_2m[pfn >> 9]--;
	at->states_1g[pfn >> 18]--;
	map_delete(&at->states, pfn);
}

bool state_set(struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	bool replaces = !state_is_ordinary(at, pfn);

	if (!map_put(&at->states, pfn, state_value(at, to)))
		return false;
	if (replaces)
		return true;
	if (to.to == AT_TO_TABLE && to.arg == PT_LEVELS && !root_append(at, pfn)) {
		map_delete(&at->states, pfn);
		return false;
	}
	at->nr_given += to.to == AT_TO_BALLOON;
	at->nr_typed += to.to == AT_TO_MEMTYPE;
	at->states_2m[pfn >> 9]++;
	at->states_1g[pfn >> 18]++;
	return true;
}

/* --- forbidding ------------------------------------------------------------------------------- */

/* What matters of a leaf. */
struct leaf {
	bool writable;
	unsigned type;
};

static bool frame_forbids(const struct alias_tracker *at, uint64_t pfn, const struct leaf *leaf,
			  struct at_violation *found)
{
	uint64_t value = map_get(&at->states, pfn);

	found->pfn = pfn;
	switch (value & 7) {
	case 0:
		return false;
	case STATE_GIVEN:
		found->kind = AT_V_BALLOONED;
		return true;
	case STATE_TYPED:
		found->kind = AT_V_MEMTYPE;
		return leaf->type != value >> 3;
	default:
		found->kind = AT_V_WRITABLE;
		return leaf->writable;
	}
}

static bool forbids_in_2m(const struct alias_tracker *at, uint64_t pfn, const struct leaf *leaf,
			  struct at_violation *found)
{
	if (pfn >= at->config.frames || !at->states_2m[pfn >> 9])
		return false;
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (frame_forbids(at, pfn + i, leaf, found))
			return true;
	return false;
}

static bool forbids_in_1g(const struct alias_tracker *at, uint64_t pfn, const struct leaf *leaf,
			  struct at_violation *found)
{
	if (pfn >= at->config.frames || !at->states_1g[pfn >> 18])
		return false;
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (forbids_in_2m(at, pfn + i * PT_ENTRIES, leaf, found))
			return true;
	return false;
}

bool state_forbids(const struct alias_tracker *at, uint64_t pfn, unsigned level, bool writable,
		   uint64_t pte, struct at_violation *found)
{
	struct leaf leaf = {.writable = writable, .type = pte_type(pte, level)};

	if (level == 3)
		return forbids_in_1g(at, pfn, &leaf, found);
	if (level == 2)
		return forbids_in_2m(at, pfn, &leaf, found);
	if (!at->states_2m[pfn >> 9])
		return false;
	return frame_forbids(at, pfn, &leaf, found);
}

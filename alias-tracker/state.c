/* SPDX-License-Identifier: MIT */
/* What frames have become, and which mappings they do not bear as that. */
#include <stdlib.h>

#include "internal.h"

static uint64_t state_value(const struct alias_tracker *at, struct at_transition to)
{
	switch (to.to) {
	case AT_TO_TABLE:
		return (uint64_t)at->nr_roots << 3 | to.arg;
	case AT_TO_MEMTYPE:
		return (uint64_t)to.arg << 3 | STATE_MEMTYPE;
	default:
		return STATE_BALLOONED;
	}
}

/* The frame's word is this, and its state is to be another. Replacing one that is not 0, and
 * setting it to 0, can't fail. */
static bool frame_set_state(struct alias_tracker *at, uint64_t pfn, uintptr_t word, uint64_t state)
{
	if (!word || word & WORD_STATE)
		return frame_word_set(&at->frames, pfn, word_of_state(state));
	((struct table *)word)->state = state;
	return true;
}

unsigned at_pinned_level(const struct alias_tracker *at, uint64_t pfn)
{
	return state_level(frame_state(at, pfn));
}

bool at_is_ballooned(const struct alias_tracker *at, uint64_t pfn)
{
	return frame_state(at, pfn) == STATE_BALLOONED;
}

unsigned at_memtype(const struct alias_tracker *at, uint64_t pfn)
{
	uint64_t value = frame_state(at, pfn);

	return (value & 7) == STATE_MEMTYPE ? value >> 3 : 0;
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
	frame_set_state(at, moved, frame_word(&at->frames, moved),
			(uint64_t)index << 3 | at->levels);
}

void state_clear(struct alias_tracker *at, uint64_t pfn, uintptr_t word)
{
	uint64_t state = state_of_word(word);

	if ((state & 7) == at->levels)
		root_remove(at, state >> 3);
	at->nr_in_state[state & 7]--;
	at->nr_states--;
	frame_set_state(at, pfn, word, 0);
}

bool state_set(struct alias_tracker *at, uint64_t pfn, uintptr_t word, struct at_transition to)
{
	bool replaces = state_of_word(word) != 0;
	uint64_t state = state_value(at, to);

	if (!frame_set_state(at, pfn, word, state))
		return false;
	if (replaces)
		return true;
	if (to.to == AT_TO_TABLE && to.arg == at->levels && !root_append(at, pfn)) {
		frame_set_state(at, pfn, frame_word(&at->frames, pfn), 0);
		return false;
	}
	at->nr_in_state[state & 7]++;
	at->nr_states++;
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
	uint64_t value = frame_state(at, pfn);

	found->pfn = pfn;
	switch (value & 7) {
	case 0:
		return false;
	case STATE_BALLOONED:
		found->kind = AT_V_BALLOONED;
		return true;
	case STATE_MEMTYPE:
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
	const struct region *region = region_find(&at->frames, pfn);

	if (!region || !region->words)
		return false;
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (frame_forbids(at, pfn + i, leaf, found))
			return true;
	return false;
}

static bool forbids_in_1g(const struct alias_tracker *at, uint64_t pfn, const struct leaf *leaf,
			  struct at_violation *found)
{
	if (!gib_find(&at->frames, pfn))
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
	return frame_forbids(at, pfn, &leaf, found);
}

/* SPDX-License-Identifier: MIT */
/* What frames have become (pin.c sets it), and which mappings they do not bear as that. */
#include "internal.h"

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

	if (!region || !has_words(region))
		return false;
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (frame_forbids(at, pfn + i, leaf, found))
			return true;
	return false;
}

static bool forbids_in_1g(const struct alias_tracker *at, uint64_t pfn, const struct leaf *leaf,
			  struct at_violation *found)
{
	if (pfn >= at->frames.nr || !at->frames.nr_regions[pfn >> 18])
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

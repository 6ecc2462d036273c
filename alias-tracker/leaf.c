/* SPDX-License-Identifier: MIT */
/* Leaves: what follows when they begin or cease to count. */
#include "internal.h"

static uint64_t leaf_pfn(uint64_t pte, unsigned level)
{
	return pte_pfn(pte, level, PTE_LEAF);
}

bool leaf_add(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
	      unsigned more)
{
	unsigned level = role->level;
	uint64_t pfn = leaf_pfn(pte, level);
	struct at_violation found;

	at->tlb_pending.gaining = true;
	if ((more & LEAF_MAPPED) && !leaf_count_add(&at->frames, COUNT_MAPPED, level, pfn))
		return false;
	if ((more & LEAF_WRITABLE) && !leaf_count_add(&at->frames, COUNT_WRITABLE, level, pfn)) {
		leaf_take_back(at, role, pte, more & LEAF_MAPPED);
		return false;
	}
	if (state_forbids(at, pfn, level, more & LEAF_WRITABLE, pte, &found))
		recheck_add(at, role->table, index);
	return true;
}

void leaf_take_back(struct alias_tracker *at, struct role *role, uint64_t pte, unsigned more)
{
	uint64_t pfn = leaf_pfn(pte, role->level);

	if (more & LEAF_MAPPED)
		leaf_count_drop(&at->frames, COUNT_MAPPED, role->level, pfn);
	if (more & LEAF_WRITABLE)
		leaf_count_drop(&at->frames, COUNT_WRITABLE, role->level, pfn);
}

/* One stamp does for both, where the last leaf of any kind was a writable one. */
void leaf_drop(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
	       unsigned less)
{
	unsigned level = role->level;
	uint64_t pfn = leaf_pfn(pte, level), unit = pfn >> (pte_shift(level) - PAGE_SHIFT);
	bool stamped = false;

	reported_forget(at, role, index);
	if (less & LEAF_WRITABLE)
		stamped = leaf_count_drop(&at->frames, COUNT_WRITABLE, level, pfn);
	if (stamped)
		tlb_pending_add(&at->tlb_pending, unit_name(unit, level, false));
	if (!(less & LEAF_MAPPED))
		return;
	if (!leaf_count_drop(&at->frames, COUNT_MAPPED, level, pfn))
		tlb_pending_lose_one(&at->tlb_pending);
	else if (!stamped)
		tlb_pending_add(&at->tlb_pending, unit_name(unit, level, true));
}

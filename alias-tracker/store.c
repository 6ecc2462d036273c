/* SPDX-License-Identifier: MIT */
/* A store to a pinned table, judged before it is done: for a source that holds stores back. */
#include "internal.h"

/* Is anything wrong now with an entry of the recheck queue? The first, if so. */
static bool recheck_violates(struct alias_tracker *at, struct at_violation *out)
{
	struct table *table;

	TAILQ_FOREACH (table, &at->recheck_queue, recheck)
		for (unsigned index = 0; index < PT_ENTRIES; index++) {
			if (!(table->to_recheck[index / 64] >> index % 64 & 1))
				continue;
			for (unsigned level = 1; level <= at->levels; level++) {
				struct role *role = table->role[level - 1];

				if (!role || !entry_violates(at, role, index, out))
					continue;
				out->va = role_path(at, role, index).va;
				return true;
			}
		}
	return false;
}

/* With all that follows from it. If false, some of that may be done. */
static bool entry_update(struct alias_tracker *at, struct table *table, unsigned index,
			 uint64_t pte)
{
	bool ok = table_update(at, table, index, pte);

	return roles_update(at, 1) && ok;
}

/* Takes the value out of the copy again. What an undone store would have unmapped was never out of
 * the tables, and what it would have mapped was never in. */
static void undo(struct alias_tracker *at, struct table *table, unsigned index, uint64_t old)
{
	if (entry_update(at, table, index, old)) {
		tlb_pending_cancel(&at->tlb_pending);
		return;
	}
	/* Out of memory: the copy is ahead of the table, and the next sync is to find that. */
	at->failed = true;
	if (table->armed) {
		at->ops.disarm(at->config.ctx, table->pfn);
		table->armed = false;
		table_make_hot(at, table);
	}
}

/* What the entry alone tells; it decides for a table that no root reaches yet. */
static enum at_verdict check_entry(const struct alias_tracker *at, unsigned level, uint64_t pte,
				   struct at_violation *why)
{
	enum pte_kind kind = pte_kind(pte, level);

	why->pfn = pte_pfn(pte, level, kind);
	why->kind = AT_V_BAD_TABLE;
	if (kind == PTE_BAD)
		return AT_BAD_TABLE;
	if (kind != PTE_TABLE || at_pinned_level(at, why->pfn) == level - 1)
		return AT_OK;
	if (!frame_entries(at, why->pfn))
		return AT_BAD_TABLE;
	why->kind = AT_V_UNPINNED;
	return AT_CHILD_UNPINNED;
}

/* 0 if no root leads there. */
static uint64_t address_of(const struct alias_tracker *at, const struct table *table,
			   unsigned level, unsigned index)
{
	struct role *role = table ? table->role[level - 1] : NULL;

	return role ? role_path(at, role, index).va : 0;
}

enum at_verdict at_store(struct alias_tracker *at, uint64_t pte_gpa, uint64_t pte,
			 struct at_violation *why)
{
	uint64_t pfn = pte_gpa >> PAGE_SHIFT, old;
	unsigned index = pte_gpa % (PT_ENTRIES * sizeof(pte)) / sizeof(pte);
	unsigned level = at_pinned_level(at, pfn);
	struct table *table = table_find(at, pfn);
	enum at_verdict verdict;

	*why = (struct at_violation){.pte_gpa = pte_gpa, .level = (uint8_t)level};
	if (!level || at->config.mode == AT_BLIND)
		return AT_BAD_STATE;
	if (at->failed)
		return AT_NO_MEMORY;
	verdict = check_entry(at, level, pte, why);
	if (verdict != AT_OK)
		why->va = address_of(at, table, level, index);
	if (verdict != AT_OK || !table)
		return verdict;
	old = copy_get(&table->copy, index);
	if (!entry_update(at, table, index, pte))
		verdict = AT_NO_MEMORY;
	else if (recheck_violates(at, why))
		verdict = verdict_of(why);
	if (verdict != AT_OK)
		undo(at, table, index, old);
	recheck_clear(at);
	tlb_pending_settle(at);
	at->entries_changed += verdict == AT_OK && old != pte;
	return verdict;
}

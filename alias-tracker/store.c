/* SPDX-License-Identifier: MIT */
/*
 * A store to pinned tables, judged before it is done: for an owner that holds stores back.
 *
 * All new values are made to count first, while the old ones count on. That may need memory. Then
 * the store is judged, and either the old values cease to count or the new ones do, neither of
 * which needs any (role.c). So a table is judged with all links to it, old and new. Beyond what
 * breaks a rule that refuses only a store of several entries that takes a link to a table out, and
 * links the same table elsewhere or writes to it.
 */
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

static bool is_held(const struct alias_tracker *at, uint64_t pfn, unsigned index)
{
	for (unsigned i = 0; i < at->nr_held; i++)
		if (at->held[i].pfn == pfn && at->held[i].index == index)
			return true;
	return false;
}

static enum at_verdict hold_entry(struct alias_tracker *at, const struct at_entry *entry,
				  struct at_violation *why)
{
	uint64_t pfn = entry->pte_gpa >> PAGE_SHIFT;
	unsigned index = entry->pte_gpa % (PT_ENTRIES * sizeof(entry->pte)) / sizeof(entry->pte);
	unsigned level = at_pinned_level(at, pfn);
	enum at_verdict verdict;

	*why = (struct at_violation){.pte_gpa = entry->pte_gpa, .level = (uint8_t)level};
	if (!level || is_held(at, pfn, index))
		return AT_BAD_STATE;
	verdict = check_entry(at, level, entry->pte, why);
	if (verdict != AT_OK)
		why->va = address_of(at, table_find(at, pfn), level, index);
	at->held[at->nr_held++] = (struct held){.pfn = pfn, .index = index, .pte = entry->pte};
	return verdict;
}

static enum at_verdict hold_entries(struct alias_tracker *at, const struct at_entry *entries,
				    unsigned nr, struct at_violation *why)
{
	enum at_verdict verdict = AT_OK;

	*why = (struct at_violation){0};
	if (nr > AT_STORE_MAX || at->config.mode == AT_BLIND)
		return AT_BAD_STATE;
	if (at->failed)
		return AT_NO_MEMORY;
	for (unsigned i = 0; i < nr && verdict == AT_OK; i++)
		verdict = hold_entry(at, &entries[i], why);
	return verdict;
}

/* All new values count, with all that follows from them. A table may be followed only because of
 * one of them: it is read without the others, which come afterwards. False: out of memory. */
static bool take_effect(struct alias_tracker *at)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned i = 0; i < at->nr_held; i++) {
			struct held *held = &at->held[i];
			struct table *table = held->table ? NULL : table_find(at, held->pfn);

			if (!table)
				continue;
			if (!held_begin(at, held, table) || !roles_update(at, 1))
				return false;
			more = true;
		}
	}
	return true;
}

/* What an undone store would have unmapped was never out of the tables, and what it would have
 * mapped was never in. */
static void held_settle(struct alias_tracker *at, bool done)
{
	unsigned nr = at->nr_held;

	at->nr_held = 0;
	for (unsigned i = 0; i < nr; i++) {
		const struct held *held = &at->held[i];

		if (!held->table)
			continue;
		held_end(at, held, done);
		at->entries_changed += done && held->old != held->pte;
	}
	if (!roles_update(at, 1))
		at->failed = true; /* it was to stop */
	recheck_clear(at);
	if (done)
		tlb_pending_settle(at);
	else
		tlb_pending_cancel(&at->tlb_pending);
}

enum at_verdict at_store(struct alias_tracker *at, const struct at_entry *entries, unsigned nr,
			 struct at_violation *why)
{
	enum at_verdict verdict = hold_entries(at, entries, nr, why);

	if (verdict != AT_OK) {
		at->nr_held = 0;
		return verdict;
	}
	if (!take_effect(at))
		verdict = AT_NO_MEMORY;
	else if (recheck_violates(at, why))
		verdict = verdict_of(why);
	held_settle(at, verdict == AT_OK);
	return verdict;
}

/* SPDX-License-Identifier: MIT */
/*
 * Roots that are followed, pinned or not. All that they lead to counts as with pinned ones; but a
 * table that is reached from followed roots alone may link whatever it likes.
 *
 * So where there are followed roots, it must be known which roles are reached from a pinned one:
 * they are *judged*. This is found out anew by a walk from the pinned roots, when it matters.
 */
#include "internal.h"

/* --- which roles are judged ------------------------------------------------------------------- */

/* Is it an entry whose violations depend on that? */
static bool is_link(const struct role *role, uint64_t pte)
{
	enum pte_kind kind = pte_kind(pte, role->level);

	return kind == PTE_TABLE || kind == PTE_BAD;
}

/* By at most as many levels as there are. */
static void judged_walk(struct alias_tracker *at, struct role *role)
{
	role->walk = at->walks;
	if (role->level == 1 || wants_stop(at))
		return;
	FOREACH_PRESENT (i, &role->table->copy) {
		uint64_t pte = copy_get(&role->table->copy, i);
		struct role *child = NULL;

		if (pte_kind(pte, role->level) == PTE_TABLE)
			child = role_child(at, role, pte);
		if (child && child->walk != at->walks)
			judged_walk(at, child);
	}
}

static void role_set_judged(struct alias_tracker *at, struct role *role, bool judged, bool recheck)
{
	if (role->judged == judged)
		return;
	role->judged = judged;
	FOREACH_PRESENT (i, &role->table->copy) {
		if (!is_link(role, copy_get(&role->table->copy, i)))
			continue;
		if (!judged)
			reported_forget(at, role, i);
		else if (recheck)
			recheck_add(at, role->table, i);
	}
}

void judged_update(struct alias_tracker *at, bool recheck)
{
	struct table *table;
	struct role *root;

	if (!at->judges_some)
		return;
	at->walks++;
	for (size_t i = 0; i < at->roots.nr; i++) {
		root = role_find(at, at->roots.pfn[i], at->levels);
		if (root && root->walk != at->walks)
			judged_walk(at, root);
	}
	TAILQ_FOREACH (table, &at->by_change, by_change)
		for (unsigned level = 1; level <= at->levels; level++)
			if (table->role[level - 1])
				role_set_judged(at, table->role[level - 1],
						table->role[level - 1]->walk == at->walks, recheck);
}

/* --- the list of followed roots --------------------------------------------------------------- */

static void follows_append(struct alias_tracker *at, struct table *table)
{
	table->followed = true;
	table->follow = at->follows.nr;
	root_list_append(&at->follows, table->pfn);
}

static void follows_remove(struct alias_tracker *at, struct table *table)
{
	uint64_t moved = root_list_remove(&at->follows, table->follow);

	table_find(at, moved)->follow = table->follow;
	table->followed = false;
}

/* From now on some roles may not be judged; until now all were. */
static void judge_some(struct alias_tracker *at)
{
	if (at->judges_some)
		return;
	at->judges_some = true;
	judged_update(at, false);
}

bool at_is_followed(const struct alias_tracker *at, uint64_t pfn)
{
	const struct table *table = table_find(at, pfn);

	return table && table->followed;
}

enum at_verdict at_follow(struct alias_tracker *at, uint64_t pfn)
{
	const uint64_t *entries = frame_entries(at, pfn);
	struct role *root;

	if (!entries)
		return AT_BAD_FRAME;
	if (at->config.mode == AT_BLIND || at_is_followed(at, pfn))
		return AT_BAD_STATE;
	judge_some(at);
	root = root_list_reserve(&at->follows) ? root_add(at, pfn, entries) : NULL;
	/* By the state of the last sync: if that failed, the next one will tell. */
	if (!at->failed)
		recheck_report(at);
	if (!root) {
		/* What a sync that failed had not come to may have gone only now. */
		if (!at->failed)
			tlb_pending_cancel(&at->tlb_pending);
		return AT_NO_MEMORY;
	}
	follows_append(at, root->table);
	return AT_OK;
}

enum at_verdict at_unfollow(struct alias_tracker *at, uint64_t pfn)
{
	struct table *table = table_find(at, pfn);

	if (pfn >= at->config.frames)
		return AT_BAD_FRAME;
	if (!table || !table->followed)
		return AT_BAD_STATE;
	follows_remove(at, table);
	root_drop(at, table->role[at->levels - 1]);
	tlb_pending_settle(at);
	return AT_OK;
}

bool at_for_each_table(const struct alias_tracker *at,
		       bool (*fn)(void *ctx, const struct at_table *table), void *ctx)
{
	const struct table *table;

	TAILQ_FOREACH (table, &at->by_change, by_change) {
		struct at_table out = {.pfn = table->pfn, .followed = table->followed};

		for (unsigned level = 1; level <= at->levels; level++)
			if (table->role[level - 1] &&
			    table->role[level - 1]->view.all != PLACE_NONE)
				out.levels |= 1u << (level - 1);
		if (out.levels && !fn(ctx, &out))
			return false;
	}
	return true;
}

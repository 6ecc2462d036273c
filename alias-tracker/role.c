/* SPDX-License-Identifier: MIT */
/*
 * What the entries of a role do, by its view: count leaves, and link children. Whatever changes has
 * two halves. The first, "raise", begins what is new and may fail for want of memory; then it is
 * taken back. The second, "lower", ends what is old and moves the sums of children; it can't fail.
 *
 * A root that is dropped, and one that could not be added, needs no memory on the way down: views
 * then only go from several places to one of them, or to none. Nor does a store that was judged:
 * meanwhile both values of the entry count, and then one of them ceases to.
 */
#include "internal.h"

struct role *role_child(const struct alias_tracker *at, const struct role *role, uint64_t pte)
{
	return role_find(at, pte_pfn(pte, role->level, PTE_TABLE), role->level - 1);
}

/* --- one entry, from one view to another ------------------------------------------------------ */

/* Makes sure that there is a role to link to. */
static bool link_raise(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte)
{
	uint64_t pfn = pte_pfn(pte, role->level, PTE_TABLE);
	struct table *child = table_find(at, pfn);
	const uint64_t *entries = child ? NULL : frame_entries(at, pfn);

	if (!child && !entries) {
		recheck_add(at, role->table, index);
		return true;
	}
	if (!child)
		child = table_new(at, pfn, role->level - 1, entries);
	if (!child || !role_of(at, child, role->level - 1))
		return false;
	if (state_level(child->state) != role->level - 1u)
		recheck_add(at, role->table, index);
	return true;
}

static bool entry_raise(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
			struct view from, struct view to)
{
	unsigned was, now;

	switch (pte_kind(pte, role->level)) {
	case PTE_LEAF:
		if (to.all == PLACE_NONE)
			return true;
		was = leaf_counts_as(at, from, role->level, index, pte);
		now = leaf_counts_as(at, to, role->level, index, pte);
		return !(now & ~was) || leaf_add(at, role, index, pte, now & ~was, now);
	case PTE_TABLE:
		return from.all != PLACE_NONE || to.all == PLACE_NONE ||
		       link_raise(at, role, index, pte);
	case PTE_BAD:
		if (from.all == PLACE_NONE && to.all != PLACE_NONE)
			recheck_add(at, role->table, index);
		return true;
	default:
		return true;
	}
}

/* Roles that were made stay queued, and go when it is their turn. */
static void entry_take_back(struct alias_tracker *at, struct role *role, unsigned index,
			    uint64_t pte, struct view from, struct view to)
{
	if (pte_kind(pte, role->level) == PTE_LEAF)
		leaf_take_back(at, role, pte,
			       leaf_counts_as(at, to, role->level, index, pte) &
				       ~leaf_counts_as(at, from, role->level, index, pte));
}

static void link_change(struct alias_tracker *at, struct role *role, struct role *child,
			unsigned index, uint64_t pte, struct view view, bool add)
{
	if (view.all == PLACE_NONE)
		return;
	links_change(&child->all, child_place(at, role->level, view.all, index), add);
	if ((pte & PTE_RW) && view.writable != PLACE_NONE)
		links_change(&child->writable, child_place(at, role->level, view.writable, index),
			     add);
	if (add && !child->parent) {
		child->parent = role;
		child->index = index;
	} else if (!add && child->parent == role && child->index == index) {
		child->parent = NULL;
	}
}

static void link_lower(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
		       struct view from, struct view to)
{
	struct role *child = role_child(at, role, pte);

	if (!child)
		return;
	link_change(at, role, child, index, pte, from, false);
	link_change(at, role, child, index, pte, to, true);
	role_queue(at, child);
}

static void entry_lower(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
			struct view from, struct view to)
{
	enum pte_kind kind = pte_kind(pte, role->level);
	unsigned less;

	if (kind == PTE_LEAF) {
		if (from.all == PLACE_NONE)
			return;
		less = leaf_counts_as(at, from, role->level, index, pte) &
		       ~leaf_counts_as(at, to, role->level, index, pte);
		if (less)
			leaf_drop(at, role, index, pte, less);
		return;
	}
	if (kind == PTE_TABLE)
		link_lower(at, role, index, pte, from, to);
	if (kind != PTE_NONE && to.all == PLACE_NONE)
		reported_forget(at, role, index);
}

/* --- the common case -------------------------------------------------------------------------- */

/* Most tables are walked as L1, writably, and outside of the direct map: what an entry counts as is
 * then plain to see, where only writable leaves are counted. */
static const struct view view_plain = {PLACE_OUTSIDE, PLACE_OUTSIDE};

static bool view_is(struct view a, struct view b)
{
	return a.all == b.all && a.writable == b.writable;
}

static inline bool plain_add(struct alias_tracker *at, struct role *role, unsigned index,
			     uint64_t pte)
{
	uint64_t pfn = pte_pfn(pte, 1, PTE_LEAF);
	struct region *region;

	if ((pte & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW) || pfn >= at->config.frames)
		return true;
	region = region_find(&at->frames, pfn);
	if (region && !region->words && region_add_quick(region, pfn))
		return true;
	return leaf_add(at, role, index, pte, LEAF_WRITABLE, LEAF_WRITABLE);
}

static inline void plain_drop(struct alias_tracker *at, struct role *role, unsigned index,
			      uint64_t pte)
{
	uint64_t pfn = pte_pfn(pte, 1, PTE_LEAF);
	struct region *region;
	bool last;

	if ((pte & (PTE_P | PTE_RW)) != (PTE_P | PTE_RW) || pfn >= at->config.frames)
		return;
	region = region_find(&at->frames, pfn);
	if (at->violations.reported.used || !region_drop_quick(region, pfn, &last))
		leaf_drop(at, role, index, pte, LEAF_WRITABLE);
	else if (last)
		tlb_pending_add(&at->tlb_pending, unit_name(pfn, 1, false));
}

/* --- a role gets another view ----------------------------------------------------------------- */

static bool holds(const struct held *held, const struct role *role)
{
	return held->counts && held->table == role->table;
}

static bool held_raise(struct alias_tracker *at, struct role *role, struct view to)
{
	for (unsigned i = 0; i < at->nr_held; i++) {
		const struct held *held = &at->held[i];

		if (!holds(held, role) ||
		    entry_raise(at, role, held->index, held->old, role->view, to))
			continue;
		while (held-- > at->held)
			if (holds(held, role))
				entry_take_back(at, role, held->index, held->old, role->view, to);
		return false;
	}
	return true;
}

static void held_lower(struct alias_tracker *at, struct role *role, struct view from,
		       struct view to)
{
	for (unsigned i = 0; i < at->nr_held; i++) {
		const struct held *held = &at->held[i];

		if (holds(held, role))
			entry_lower(at, role, held->index, held->old, from, to);
	}
}

static void view_take_back(struct alias_tracker *at, struct role *role, struct view to,
			   unsigned end)
{
	const struct copy *copy = &role->table->copy;

	FOREACH_PRESENT (i, copy)
		if (i < end)
			entry_take_back(at, role, i, copy->entry[i], role->view, to);
}

static bool view_raise(struct alias_tracker *at, struct role *role, struct view to)
{
	const struct copy *copy = &role->table->copy;
	bool plain = role->level == 1 && !at->counts_all && view_is(to, view_plain) &&
		     view_is(role->view, view_none);

	FOREACH_PRESENT (i, copy) {
		uint64_t pte = copy->entry[i];

		if (plain ? plain_add(at, role, i, pte)
			  : entry_raise(at, role, i, pte, role->view, to))
			continue;
		view_take_back(at, role, to, i);
		return false;
	}
	if (held_raise(at, role, to))
		return true;
	view_take_back(at, role, to, PT_ENTRIES);
	return false;
}

static void view_lower(struct alias_tracker *at, struct role *role, struct view to)
{
	const struct copy *copy = &role->table->copy;
	struct view from = role->view;
	bool plain = role->level == 1 && !at->counts_all && view_is(from, view_plain) &&
		     view_is(to, view_none);

	role->view = to;
	FOREACH_PRESENT (i, copy) {
		if (plain)
			plain_drop(at, role, i, copy->entry[i]);
		else
			entry_lower(at, role, i, copy->entry[i], from, to);
	}
	held_lower(at, role, from, to);
}

static bool view_change(struct alias_tracker *at, struct role *role, struct view to)
{
	if (!role->table->copy.stored && !at->nr_held) {
		role->view = to;
		return true;
	}
	if (to.all != PLACE_NONE && !view_raise(at, role, to))
		return false;
	view_lower(at, role, to);
	return true;
}

static bool role_update(struct alias_tracker *at, struct role *role)
{
	struct view to = role_links_view(role);

	if (!view_is(to, role->view) && !view_change(at, role, to))
		return false;
	if (to.all == PLACE_NONE)
		role_free(at, role);
	return true;
}

/* Roles that are linked by these are of lower levels: the queue doesn't grow meanwhile. */
static bool level_update(struct alias_tracker *at, unsigned level)
{
	struct role_queue *queue = &at->outdated[level - 1], failed;
	struct role *role;

	STAILQ_INIT(&failed);
	while ((role = STAILQ_FIRST(queue)) && !wants_stop(at)) {
		STAILQ_REMOVE_HEAD(queue, queue);
		role->queued = false;
		if (role_update(at, role))
			continue;
		role->queued = true;
		STAILQ_INSERT_TAIL(&failed, role, queue);
	}
	STAILQ_CONCAT(queue, &failed);
	return STAILQ_EMPTY(queue);
}

bool roles_update(struct alias_tracker *at, unsigned lowest)
{
	bool ok = true;

	for (unsigned level = at->levels; level >= lowest; level--)
		ok = (STAILQ_EMPTY(&at->outdated[level - 1]) || level_update(at, level)) && ok;
	return ok;
}

/* --- an entry gets another value -------------------------------------------------------------- */

/* Does the entry mean the same, to whom it leads and how? */
static bool means_the_same(uint64_t a, uint64_t b)
{
	return !((a ^ b) & PTE_MEANING) || !((a | b) & PTE_P);
}

static bool table_raise(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	for (unsigned level = at->levels; level >= 1; level--) {
		struct role *role = table->role[level - 1];

		if (!role || entry_raise(at, role, index, pte, view_none, role->view))
			continue;
		while (++level <= at->levels) {
			role = table->role[level - 1];
			if (role)
				entry_take_back(at, role, index, pte, view_none, role->view);
		}
		return false;
	}
	return true;
}

/* Begins to count that value of an entry, which then is the copy's. False: out of memory. */
static bool value_begin(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	if (!table_raise(at, table, index, pte))
		return false;
	copy_set(&table->copy, index, pte);
	for (unsigned level = at->levels; level >= 1; level--) {
		struct role *role = table->role[level - 1];

		if (role)
			entry_lower(at, role, index, pte, view_none, role->view);
	}
	return true;
}

/* Ceases to count a value that the entry had. */
static void value_end(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	for (unsigned level = at->levels; level >= 1; level--) {
		struct role *role = table->role[level - 1];

		if (role)
			entry_lower(at, role, index, pte, role->view, view_none);
	}
}

bool table_update(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	uint64_t old = copy_get(&table->copy, index);
	struct role *role;

	if (means_the_same(old, pte)) {
		copy_set(&table->copy, index, pte);
		return true;
	}
	role = table->role[0];
	if (role && table->nr_roles == 1 && !at->counts_all && view_is(role->view, view_plain)) {
		if (!plain_add(at, role, index, pte))
			return false;
		plain_drop(at, role, index, old);
		copy_set(&table->copy, index, pte);
		return true;
	}
	if (!value_begin(at, table, index, pte))
		return false;
	value_end(at, table, index, old);
	return true;
}

bool held_begin(struct alias_tracker *at, struct held *held, struct table *table)
{
	uint64_t old = copy_get(&table->copy, held->index);
	bool counts = !means_the_same(old, held->pte);

	if (counts && !value_begin(at, table, held->index, held->pte))
		return false;
	copy_set(&table->copy, held->index, held->pte);
	held->table = table;
	held->old = old;
	held->counts = counts;
	return true;
}

void held_end(struct alias_tracker *at, const struct held *held, bool keep)
{
	if (!keep)
		copy_set(&held->table->copy, held->index, held->old);
	if (held->counts)
		value_end(at, held->table, held->index, keep ? held->old : held->pte);
}

/* --- roots ------------------------------------------------------------------------------------ */

/* That a root is pinned, or followed, is a link from outside. */
static bool root_link(struct alias_tracker *at, struct role *root, bool add)
{
	links_change(&root->all, PLACE_OUTSIDE, add);
	links_change(&root->writable, PLACE_OUTSIDE, add);
	role_queue(at, root);
	at->roots_changed++;
	return roles_update(at, 1);
}

struct role *root_add(struct alias_tracker *at, uint64_t pfn)
{
	struct table *table = table_find(at, pfn);
	struct role *root;

	if (!table)
		table = table_new(at, pfn, at->levels, frame_entries(at, pfn));
	root = table ? role_of(at, table, at->levels) : NULL;
	if (!root)
		return NULL;
	if (root_link(at, root, true))
		return root;
	root_drop(at, root);
	return NULL;
}

void root_drop(struct alias_tracker *at, struct role *root)
{
	if (!root_link(at, root, false))
		at->failed = true;
}

/* --- counting leaves of any kind -------------------------------------------------------------- */

static bool role_count_all(struct alias_tracker *at, struct role *role)
{
	const struct copy *copy = &role->table->copy;

	FOREACH_PRESENT (i, copy) {
		uint64_t pte = copy_get(copy, i);

		if (pte_kind(pte, role->level) == PTE_LEAF &&
		    (leaf_counts_as(at, role->view, role->level, i, pte) & LEAF_MAPPED) &&
		    !leaf_count_add(&at->frames, COUNT_MAPPED, role->level,
				    pte_pfn(pte, role->level, PTE_LEAF)))
			return false;
	}
	return true;
}

bool roles_count_all(struct alias_tracker *at)
{
	struct table *table;

	TAILQ_FOREACH (table, &at->by_change, by_change) {
		if (wants_stop(at))
			return false;
		for (unsigned level = 1; level <= LEAF_LEVELS; level++)
			if (table->role[level - 1] && !role_count_all(at, table->role[level - 1]))
				return false;
	}
	return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * What the entries of a role do, by its view: count leaves, and link children. What begins may fail
 * for want of memory; then it is taken back. What ends can't fail. So whatever changes begins the
 * new before it ends the old.
 *
 * A root that is dropped, and one that could not be added, needs no memory on the way down: views
 * then only go from several places to one of them, or to none. Nor does a store that was judged:
 * meanwhile both values of the entry count, and then one of them ceases to.
 */
#include "internal.h"
#include "plain.h"

/* --- links ------------------------------------------------------------------------------------ */

static uint32_t link_place(const struct alias_tracker *at, unsigned level, uint32_t place,
			   unsigned index)
{
	return place == PLACE_NONE ? PLACE_NONE : child_place(at, level, place, index);
}

__attribute__((noinline)) static struct view link_view_placed(const struct alias_tracker *at,
							      const struct role *role,
							      unsigned index, uint64_t pte,
							      struct view view)
{
	struct view link = {link_place(at, role->level, view.all, index), PLACE_NONE};

	if (!(pte & PTE_RW))
		return link;
	link.writable = view.writable == view.all
				? link.all
				: link_place(at, role->level, view.writable, index);
	return link;
}

static inline bool leads_to_exempt(const struct alias_tracker *at, unsigned index)
{
	return at->windows.top[index / 64] >> index % 64 & 1;
}

/* What a link by this entry is for the child, in such a view of the role. */
static inline struct view link_view(const struct alias_tracker *at, const struct role *role,
				    unsigned index, uint64_t pte, struct view view)
{
	if (!view_is(view, view_plain) || (role->level == at->levels && leads_to_exempt(at, index)))
		return link_view_placed(at, role, index, pte, view);
	return (struct view){PLACE_OUTSIDE, pte & PTE_RW ? PLACE_OUTSIDE : PLACE_NONE};
}

static inline void link_add(struct role *role, struct role *child, unsigned index, struct view link)
{
	links_add(&child->all, link.all);
	if (link.writable != PLACE_NONE)
		links_add(&child->writable, link.writable);
	if (child->parent)
		return;
	child->parent = role;
	child->index = (uint16_t)index;
}

static inline void link_drop(struct role *role, struct role *child, unsigned index,
			     struct view link)
{
	links_drop(&child->all, link.all);
	if (link.writable != PLACE_NONE)
		links_drop(&child->writable, link.writable);
	if (child->parent == role && child->index == index)
		child->parent = NULL;
}

/* False if out of memory: then nothing is linked. (A role that was made is queued, and goes again.)
 */
static bool link_begin(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
		       struct view view)
{
	uint64_t pfn = pte_pfn(pte, role->level, PTE_TABLE);
	uintptr_t *word = frame_word_place(&at->frames, pfn);
	struct table *table = word ? table_of_word(*word) : NULL;
	const uint64_t *entries = table ? NULL : frame_entries(at, pfn);
	struct role *child;

	if (!table && !entries) {
		recheck_add(at, role->table, index);
		return true;
	}
	if (!table)
		table = table_new(at, pfn, word, role->level - 1, entries);
	child = table ? role_of(at, table, role->level - 1) : NULL;
	if (!child)
		return false;
	link_add(role, child, index, link_view(at, role, index, pte, view));
	role_queue(at, child);
	if (state_level(table->state) != role->level - 1u)
		recheck_add(at, role->table, index);
	return true;
}

static void link_end(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
		     struct view view)
{
	struct role *child = role_child(at, role, pte);

	if (!child)
		return; /* there is no memory */
	link_drop(role, child, index, link_view(at, role, index, pte, view));
	role_queue(at, child);
}

static void link_move(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
		      struct view from, struct view to)
{
	struct role *child = role_child(at, role, pte);

	if (!child)
		return;
	link_drop(role, child, index, link_view(at, role, index, pte, from));
	link_add(role, child, index, link_view(at, role, index, pte, to));
	role_queue(at, child);
}

/* --- entries of a role that is reached -------------------------------------------------------- */

/* False if out of memory, and then nothing changed. */
static bool entry_begin(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
			struct view view)
{
	unsigned counts;

	switch (pte_kind(pte, role->level)) {
	case PTE_LEAF:
		counts = leaf_counts_as(at, view, role->level, index, pte);
		return !counts || leaf_add(at, role, index, pte, counts);
	case PTE_TABLE:
		return link_begin(at, role, index, pte, view);
	case PTE_BAD:
		recheck_add(at, role->table, index);
		return true;
	default:
		return true;
	}
}

/* As if it had never begun. */
static void entry_take_back(struct alias_tracker *at, struct role *role, unsigned index,
			    uint64_t pte, struct view view)
{
	enum pte_kind kind = pte_kind(pte, role->level);

	if (kind == PTE_LEAF)
		leaf_take_back(at, role, pte, leaf_counts_as(at, view, role->level, index, pte));
	else if (kind == PTE_TABLE)
		link_end(at, role, index, pte, view);
}

static void entry_end(struct alias_tracker *at, struct role *role, unsigned index, uint64_t pte,
		      struct view view)
{
	enum pte_kind kind = pte_kind(pte, role->level);
	unsigned counts;

	if (kind == PTE_LEAF) {
		counts = leaf_counts_as(at, view, role->level, index, pte);
		if (counts)
			leaf_drop(at, role, index, pte, counts);
		return;
	}
	if (kind == PTE_TABLE)
		link_end(at, role, index, pte, view);
	if (kind != PTE_NONE)
		reported_forget(at, role, index);
}

/* --- plain tables, where more is to be done than to count ------------------------------------- */

bool plain_add_rare(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	return plain_pfn(pte) >= at->config.frames ||
	       leaf_add(at, table->role[0], index, pte, LEAF_WRITABLE);
}

void plain_drop_rare(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	if (plain_pfn(pte) < at->config.frames)
		leaf_drop(at, table->role[0], index, pte, LEAF_WRITABLE);
}

/* Does the entry mean the same, to whom it leads and how? */
static inline bool means_the_same(uint64_t a, uint64_t b)
{
	return !((a ^ b) & PTE_MEANING) || !((a | b) & PTE_P);
}

bool plain_update_rare(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	uint64_t old = copy_get(&table->copy, index);

	if (pte && !copy_store(&table->copy, index, &at->copy_bytes))
		return false;
	if (!means_the_same(old, pte)) {
		if (plain_counts(pte) && !plain_add_rare(at, table, index, pte))
			return false;
		if (plain_counts(old))
			plain_drop_rare(at, table, index, old);
	}
	copy_set(&table->copy, index, pte);
	return true;
}

/* --- a role gets another view ----------------------------------------------------------------- */

/* With the old values of entries that are stored to. */
#define FOREACH_HELD(held, at, role)                                                               \
	for (unsigned held_ = 0; held_ < (at)->nr_held; held_++)                                   \
		for (const struct held *held = &(at)->held[held_];                                 \
		     held && held->counts && held->table == (role)->table; (held) = NULL)

/* Entries before `end`, and held ones before `held_end`, have begun. */
static void view_take_back(struct alias_tracker *at, struct role *role, struct view to,
			   unsigned end, const struct held *held_end)
{
	const struct copy *copy = &role->table->copy;

	FOREACH_PRESENT (i, copy)
		if (i < end)
			entry_take_back(at, role, i, *copy_entry(copy, i), to);
	FOREACH_HELD(held, at, role)
	if (held < held_end)
		entry_take_back(at, role, held->index, held->old, to);
}

/* Is it to be that of a plain table, or was it, if the role is its table's only one? */
static bool is_plain_view(const struct alias_tracker *at, const struct role *role, struct view view)
{
	return role->level == 1 && !at->counts_all && view_is(view, view_plain);
}

/* The entries of the table begin to count. Returns the first that could not, or PT_ENTRIES. */
static unsigned plain_begin(struct alias_tracker *at, struct table *table)
{
	FOREACH_PRESENT (i, &table->copy) {
		uint64_t pte = *copy_entry(&table->copy, i);

		if (plain_counts(pte) && !plain_add(at, table, i, pte))
			return i;
	}
	return PT_ENTRIES;
}

static unsigned entries_begin(struct alias_tracker *at, struct role *role, struct view to)
{
	const struct copy *copy = &role->table->copy;

	FOREACH_PRESENT (i, copy)
		if (!entry_begin(at, role, i, *copy_entry(copy, i), to))
			return i;
	return PT_ENTRIES;
}

/* It is reached from now on. */
static bool view_begin(struct alias_tracker *at, struct role *role, struct view to)
{
	unsigned end = is_plain_view(at, role, to) ? plain_begin(at, role->table)
						   : entries_begin(at, role, to);

	if (end < PT_ENTRIES) {
		view_take_back(at, role, to, end, NULL);
		return false;
	}
	FOREACH_HELD(held, at, role)
	{
		if (entry_begin(at, role, held->index, held->old, to))
			continue;
		view_take_back(at, role, to, PT_ENTRIES, held);
		return false;
	}
	if (at->places && role->level == 1)
		places_keep_table(at, role->table);
	role->view = to;
	return true;
}

static void plain_end(struct alias_tracker *at, struct table *table)
{
	FOREACH_PRESENT (i, &table->copy) {
		uint64_t pte = *copy_entry(&table->copy, i);

		if (plain_counts(pte))
			plain_drop(at, table, i, pte);
	}
}

static void entries_end(struct alias_tracker *at, struct role *role, struct view from)
{
	const struct copy *copy = &role->table->copy;

	FOREACH_PRESENT (i, copy)
		entry_end(at, role, i, *copy_entry(copy, i), from);
}

/* It is not reached any more. */
static void view_end(struct alias_tracker *at, struct role *role)
{
	struct view from = role->view;

	role->view = view_none;
	if (is_plain_view(at, role, from))
		plain_end(at, role->table);
	else
		entries_end(at, role, from);
	FOREACH_HELD(held, at, role)
	entry_end(at, role, held->index, held->old, from);
}

/* What an entry counts as in one view, and not in the other, if it is a leaf. */
static unsigned leaf_counts_but(const struct alias_tracker *at, const struct role *role,
				unsigned index, uint64_t pte, struct view view, struct view but)
{
	if (pte_kind(pte, role->level) != PTE_LEAF)
		return 0;
	return leaf_counts_as(at, view, role->level, index, pte) &
	       ~leaf_counts_as(at, but, role->level, index, pte);
}

static bool entry_move_begin(struct alias_tracker *at, struct role *role, unsigned index,
			     uint64_t pte, struct view to)
{
	unsigned more = leaf_counts_but(at, role, index, pte, to, role->view);

	return !more || leaf_add(at, role, index, pte, more);
}

static void entry_move_take_back(struct alias_tracker *at, struct role *role, unsigned index,
				 uint64_t pte, struct view to)
{
	unsigned more = leaf_counts_but(at, role, index, pte, to, role->view);

	if (more)
		leaf_take_back(at, role, pte, more);
}

static void entry_move_end(struct alias_tracker *at, struct role *role, unsigned index,
			   uint64_t pte, struct view from)
{
	unsigned less = leaf_counts_but(at, role, index, pte, from, role->view);

	if (less)
		leaf_drop(at, role, index, pte, less);
	else if (pte_kind(pte, role->level) == PTE_TABLE)
		link_move(at, role, index, pte, from, role->view);
}

static void move_take_back(struct alias_tracker *at, struct role *role, struct view to,
			   unsigned end, const struct held *held_end)
{
	const struct copy *copy = &role->table->copy;

	FOREACH_PRESENT (i, copy)
		if (i < end)
			entry_move_take_back(at, role, i, *copy_entry(copy, i), to);
	FOREACH_HELD(held, at, role)
	if (held < held_end)
		entry_move_take_back(at, role, held->index, held->old, to);
}

/* It is reached elsewhere. */
__attribute__((noinline)) static bool view_move(struct alias_tracker *at, struct role *role,
						struct view to)
{
	const struct copy *copy = &role->table->copy;
	struct view from = role->view;

	FOREACH_PRESENT (i, copy) {
		if (entry_move_begin(at, role, i, *copy_entry(copy, i), to))
			continue;
		move_take_back(at, role, to, i, NULL);
		return false;
	}
	FOREACH_HELD(held, at, role)
	{
		if (entry_move_begin(at, role, held->index, held->old, to))
			continue;
		move_take_back(at, role, to, PT_ENTRIES, held);
		return false;
	}
	role->view = to;
	FOREACH_PRESENT (i, copy)
		entry_move_end(at, role, i, *copy_entry(copy, i), from);
	FOREACH_HELD(held, at, role)
	entry_move_end(at, role, held->index, held->old, from);
	return true;
}

static bool view_change(struct alias_tracker *at, struct role *role, struct view to)
{
	if (role->view.all == PLACE_NONE)
		return view_begin(at, role, to);
	if (to.all != PLACE_NONE)
		return view_move(at, role, to);
	view_end(at, role);
	return true;
}

static bool role_update(struct alias_tracker *at, struct role *role)
{
	struct view to = {links_place(&role->all), links_place(&role->writable)};

	if (!view_is(to, role->view) && !view_change(at, role, to))
		return false;
	if (to.all == PLACE_NONE)
		role_free(at, role);
	return true;
}

/* Roles that are linked by these are of lower levels: the queue doesn't grow meanwhile. */
static void level_update(struct alias_tracker *at, unsigned level)
{
	struct role_queue *queue = &at->outdated[level - 1];
	struct role *role, *failed = NULL; /* the first that did */

	while ((role = STAILQ_FIRST(queue)) && role != failed && !wants_stop(at)) {
		STAILQ_REMOVE_HEAD(queue, queue);
		role->queued = false;
		if (role_update(at, role))
			continue;
		role->queued = true;
		STAILQ_INSERT_TAIL(queue, role, queue);
		failed = failed ? failed : role;
	}
	if (STAILQ_EMPTY(queue))
		at->outdated_levels &= ~(1u << (level - 1));
}

bool roles_update_some(struct alias_tracker *at, unsigned lowest)
{
	for (unsigned level = 1 + (31u ^ (unsigned)__builtin_clz(at->outdated_levels));
	     level >= lowest; level--)
		if (at->outdated_levels >> (level - 1) & 1)
			level_update(at, level);
	return !(at->outdated_levels >> (lowest - 1));
}

/* --- an entry gets another value -------------------------------------------------------------- */

/* It began to count in roles above that level. */
static void value_take_back(struct alias_tracker *at, struct table *table, unsigned index,
			    uint64_t pte, unsigned level)
{
	struct role *role;

	FOREACH_ROLE (role, table)
		if (role->level > level && role->view.all != PLACE_NONE)
			entry_take_back(at, role, index, pte, role->view);
}

/* Begins to count that value of an entry. False if out of memory: then nothing changed. */
__attribute__((always_inline)) static inline bool
value_begin(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	struct role *role;

	FOREACH_ROLE (role, table) {
		if (role->view.all == PLACE_NONE || entry_begin(at, role, index, pte, role->view))
			continue;
		value_take_back(at, table, index, pte, role->level);
		return false;
	}
	return true;
}

/* Ceases to count a value that the entry had. */
static void value_end(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	struct role *role;

	FOREACH_ROLE (role, table)
		if (role->view.all != PLACE_NONE)
			entry_end(at, role, index, pte, role->view);
}

bool table_update(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	uint64_t old = copy_get(&table->copy, index);

	if (is_plain(at, table))
		return plain_update_rare(at, table, index, pte);
	if (pte && !copy_store(&table->copy, index, &at->copy_bytes))
		return false;
	if (!means_the_same(old, pte)) {
		if ((pte & PTE_P) && !value_begin(at, table, index, pte))
			return false;
		if (old & PTE_P)
			value_end(at, table, index, old);
	}
	copy_set(&table->copy, index, pte);
	return true;
}

bool held_begin(struct alias_tracker *at, struct held *held, struct table *table)
{
	uint64_t old = copy_get(&table->copy, held->index);
	bool counts = !means_the_same(old, held->pte);

	if (held->pte && !copy_store(&table->copy, held->index, &at->copy_bytes))
		return false;
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
	if (add) {
		links_add(&root->all, PLACE_OUTSIDE);
		links_add(&root->writable, PLACE_OUTSIDE);
	} else {
		links_drop(&root->all, PLACE_OUTSIDE);
		links_drop(&root->writable, PLACE_OUTSIDE);
	}
	role_queue(at, root);
	at->roots_changed++;
	return roles_update(at, 1);
}

struct role *root_add(struct alias_tracker *at, uint64_t pfn, const uint64_t *entries)
{
	uintptr_t *word = frame_word_place(&at->frames, pfn);
	struct table *table = word ? table_of_word(*word) : NULL;
	struct role *root;

	if (!table)
		table = table_new(at, pfn, word, at->levels, entries);
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

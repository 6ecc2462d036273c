/* SPDX-License-Identifier: MIT */
/*
 * The graph of tables. Each function that adds can fail for want of memory and then has changed
 * nothing; those that drop are their exact opposites and cannot fail. Recursion only ever goes from
 * a level to the one below it.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static bool entry_add(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte);
static void entry_drop(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte);

static struct node_list *list_of(const struct node *node)
{
	return &node->table->nodes[node->level - 1];
}

/* --- names ------------------------------------------------------------------------------------ */

#define PLACE_SHIFT 37 /* 35 bits of frame, 2 of level */

/* Levels are 1..3 here: roots are found by their table. */
static uint64_t node_key(uint64_t pfn, unsigned level, uint64_t place)
{
	return place << PLACE_SHIFT | pfn << 2 | level;
}

static uint64_t key_of(const struct node *node)
{
	return node_key(node->table->pfn, node->level, node->place);
}

static struct node *node_find(const struct alias_tracker *at, uint64_t key)
{
	return (struct node *)(uintptr_t)map_get(&at->nodes, key);
}

struct table *table_find(const struct alias_tracker *at, uint64_t pfn)
{
	return (struct table *)(uintptr_t)map_get(&at->tables, pfn);
}

/* The offset into the direct map at which an entry begins; false if it isn't part of it. What lies
 * beyond the end of memory is no part of it either: no leaf can be exempt there, and so the number
 * of nodes is bounded by the size of memory. */
static bool direct_offset(const struct alias_tracker *at, const struct node *node, unsigned index,
			  uint64_t *offset)
{
	uint64_t from_node = (uint64_t)index << pte_shift(node->level);

	if (node->place)
		*offset = ((node->place - 1) << pte_shift(2)) + from_node;
	else if (node->level == PT_LEVELS)
		*offset = va_canonical(from_node) - at->direct_base;
	else
		return false;
	return (node->place || *offset < at->direct_size) && *offset < at->config.frames
									       << PAGE_SHIFT;
}

static uint64_t child_key(const struct alias_tracker *at, const struct node *node, unsigned index,
			  uint64_t pte)
{
	uint64_t offset, place = 0;

	if (direct_offset(at, node, index, &offset))
		place = 1 + (offset >> pte_shift(2));
	return node_key(pte_pfn(pte, node->level, PTE_TABLE), node->level - 1, place);
}

struct node *node_child(const struct alias_tracker *at, const struct node *node, unsigned index,
			uint64_t pte)
{
	if (pte_pfn(pte, node->level, PTE_TABLE) >= at->config.frames)
		return NULL;
	return node_find(at, child_key(at, node, index, pte));
}

bool leaf_is_alias(const struct alias_tracker *at, const struct node *node, unsigned index,
		   uint64_t pte)
{
	uint64_t pfn = pte_pfn(pte, node->level, PTE_LEAF);
	uint64_t offset;

	if (pfn >= at->config.frames)
		return false;
	return !direct_offset(at, node, index, &offset) || offset >> PAGE_SHIFT != pfn;
}

/* --- leaves ----------------------------------------------------------------------------------- */

static uint64_t leaf_unit(uint64_t pte, unsigned level)
{
	return pte_pfn(pte, level, PTE_LEAF) >> (pte_shift(level) - PAGE_SHIFT);
}

static void leaf_judge(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	struct at_violation found;

	if (state_forbids(at, pte_pfn(pte, node->level, PTE_LEAF), node->level,
			  leaf_is_writable(node, pte), pte, &found))
		suspect_add(at, node->table, index);
}

/* An alias begins to be writable: by itself, and by a way that leads to it. */
static bool leaf_up(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	if (!count_add(&at->aliases[node->level - 1], leaf_unit(pte, node->level)))
		return false;
	leaf_judge(at, node, index, pte);
	return true;
}

/* Returns if it was the last that is writable. */
static bool leaf_down(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	uint64_t unit = leaf_unit(pte, node->level);
	bool last = count_drop(&at->aliases[node->level - 1], unit);

	reported_forget(at, node, index);
	if (last)
		limbo_add(&at->limbo, unit_name(unit, node->level, false));
	return last;
}

/* An alias comes. */
static bool leaf_add(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	struct count *mapped = &at->mapped[node->level - 1];
	uint64_t unit = leaf_unit(pte, node->level);

	if (at->counts_all && !count_add(mapped, unit))
		return false;
	if (!leaf_is_writable(node, pte)) {
		if (at->counts_all)
			leaf_judge(at, node, index, pte);
	} else if (!leaf_up(at, node, index, pte)) {
		if (at->counts_all)
			count_drop(mapped, unit);
		return false;
	}
	node->leaves++;
	return true;
}

static void leaf_drop(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	uint64_t unit = leaf_unit(pte, node->level);
	bool stamped = leaf_is_writable(node, pte) && leaf_down(at, node, index, pte);

	node->leaves--;
	if (!at->counts_all)
		return;
	reported_forget(at, node, index);
	if (!count_drop(&at->mapped[node->level - 1], unit))
		limbo_lose_one(&at->limbo);
	else if (!stamped)
		limbo_add(&at->limbo, unit_name(unit, node->level, true));
}

static bool node_count_all(struct alias_tracker *at, const struct node *node)
{
	FOREACH_PRESENT (i, &node->table->entries) {
		uint64_t pte = entries_get(&node->table->entries, i);

		if (pte_kind(pte, node->level) == PTE_LEAF && leaf_is_alias(at, node, i, pte) &&
		    !count_add(&at->mapped[node->level - 1], leaf_unit(pte, node->level)))
			return false;
	}
	return true;
}

bool nodes_count_all(struct alias_tracker *at)
{
	struct table *table;
	struct node *node;

	TAILQ_FOREACH (table, &at->by_change, by_change)
		for (unsigned level = 1; level < PT_LEVELS; level++)
			LIST_FOREACH (node, &table->nodes[level - 1], of_table)
				if (!node_count_all(at, node))
					return false;
	return true;
}

/* --- reached writably or not ------------------------------------------------------------------ */

static bool write_link_add(struct alias_tracker *at, struct node *child, struct node *parent,
			   unsigned index);
static void write_link_drop(struct alias_tracker *at, struct node *child);

static bool entry_enable(struct alias_tracker *at, struct node *node, unsigned index)
{
	uint64_t pte = entries_get(&node->table->entries, index);
	struct node *child;

	if (!(pte & PTE_RW))
		return true;
	switch (pte_kind(pte, node->level)) {
	case PTE_LEAF:
		return !leaf_is_alias(at, node, index, pte) || leaf_up(at, node, index, pte);
	case PTE_TABLE:
		child = node_child(at, node, index, pte);
		return !child || write_link_add(at, child, node, index);
	default:
		return true;
	}
}

static void entry_disable(struct alias_tracker *at, struct node *node, unsigned index)
{
	uint64_t pte = entries_get(&node->table->entries, index);
	struct node *child;

	if (!(pte & PTE_RW))
		return;
	switch (pte_kind(pte, node->level)) {
	case PTE_LEAF:
		if (leaf_is_alias(at, node, index, pte))
			leaf_down(at, node, index, pte);
		break;
	case PTE_TABLE:
		child = node_child(at, node, index, pte);
		if (child)
			write_link_drop(at, child);
		break;
	default:
		break;
	}
}

static void disable_below(struct alias_tracker *at, struct node *node, unsigned end)
{
	FOREACH_PRESENT (i, &node->table->entries) {
		if (i >= end)
			break;
		entry_disable(at, node, i);
	}
}

static bool write_link_add(struct alias_tracker *at, struct node *child, struct node *parent,
			   unsigned index)
{
	if (child->write_links++)
		return true;
	FOREACH_PRESENT (i, &child->table->entries) {
		if (entry_enable(at, child, i))
			continue;
		disable_below(at, child, i);
		child->write_links--;
		return false;
	}
	child->parent = parent;
	child->index = index;
	return true;
}

static void write_link_drop(struct alias_tracker *at, struct node *child)
{
	if (!--child->write_links)
		disable_below(at, child, PT_ENTRIES);
}

/* --- tables and nodes ------------------------------------------------------------------------- */

static struct table *table_new(struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table || !entries_load(&table->entries, frame_entries(at, pfn), &at->entries_bytes)) {
		free(table);
		return NULL;
	}
	if (!map_put(&at->tables, pfn, (uintptr_t)table)) {
		entries_free(&table->entries, &at->entries_bytes);
		free(table);
		return NULL;
	}
	table->pfn = pfn;
	table->level = level;
	for (unsigned i = 0; i < PT_LEVELS; i++)
		LIST_INIT(&table->nodes[i]);
	TAILQ_INSERT_HEAD(&at->by_change, table, by_change);
	table_heat(at, table);
	log_add_table(at, table);
	return table;
}

static void table_put(struct alias_tracker *at, struct table *table)
{
	if (--table->nr_nodes)
		return;
	table_forget(at, table);
	suspect_forget_table(at, table);
	log_forget_table(at, table);
	TAILQ_REMOVE(&at->by_change, table, by_change);
	map_delete(&at->tables, table->pfn);
	entries_free(&table->entries, &at->entries_bytes);
	free(table);
}

bool table_is_linked(const struct table *table)
{
	for (unsigned level = 1; level < PT_LEVELS; level++)
		if (!LIST_EMPTY(&table->nodes[level - 1]))
			return true;
	return false;
}

static void node_free(struct alias_tracker *at, struct node *node)
{
	struct table *table = node->table;

	free(node);
	at->nr_nodes--;
	table_put(at, table);
}

static void drop_entries_below(struct alias_tracker *at, struct node *node, unsigned end)
{
	FOREACH_PRESENT (i, &node->table->entries) {
		if (i >= end)
			break;
		entry_drop(at, node, i, entries_get(&node->table->entries, i));
	}
}

/* A node without links yet: with all that is below it, none of it reached writably through it. */
static struct node *node_new(struct alias_tracker *at, uint64_t pfn, unsigned level, uint64_t place)
{
	struct table *table = table_find(at, pfn);
	struct node *node = calloc(1, sizeof(*node));

	if (node && !table)
		table = table_new(at, pfn, level);
	if (!node || !table) {
		free(node);
		return NULL;
	}
	*node = (struct node){
		.table = table,
		.level = level,
		.place = place,
	};
	table->nr_nodes++;
	at->nr_nodes++;
	FOREACH_PRESENT (i, &table->entries) {
		if (entry_add(at, node, i, entries_get(&table->entries, i)))
			continue;
		drop_entries_below(at, node, i);
		node_free(at, node);
		return NULL;
	}
	if (level < PT_LEVELS && !map_put(&at->nodes, key_of(node), (uintptr_t)node)) {
		drop_entries_below(at, node, PT_ENTRIES);
		node_free(at, node);
		return NULL;
	}
	LIST_INSERT_HEAD(list_of(node), node, of_table);
	return node;
}

static void node_destroy(struct alias_tracker *at, struct node *node)
{
	if (node->level < PT_LEVELS)
		map_delete(&at->nodes, key_of(node));
	LIST_REMOVE(node, of_table);
	drop_entries_below(at, node, PT_ENTRIES);
	node_free(at, node);
}

/* --- links ------------------------------------------------------------------------------------ */

static bool link_add(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	uint64_t pfn = pte_pfn(pte, node->level, PTE_TABLE);
	uint64_t key = child_key(at, node, index, pte);
	struct node *child;

	if (!frame_entries(at, pfn)) {
		suspect_add(at, node->table, index);
		return true;
	}
	child = node_find(at, key);
	if (!child)
		child = node_new(at, pfn, node->level - 1, key >> PLACE_SHIFT);
	if (!child)
		return false;
	if ((pte & PTE_RW) && node->write_links && !write_link_add(at, child, node, index)) {
		if (child->links == 0)
			node_destroy(at, child);
		return false;
	}
	child->links++;
	if (!child->parent) {
		child->parent = node;
		child->index = index;
	}
	if (at_pinned_level(at, pfn) != child->level)
		suspect_add(at, node->table, index);
	return true;
}

/* Does the entry link to this child by its copy, while another value of it is being dropped? */
static bool still_links(const struct alias_tracker *at, const struct node *node, unsigned index,
			uint64_t dropped, const struct node *child)
{
	uint64_t pte = entries_get(&node->table->entries, index);

	return pte != dropped && pte_kind(pte, node->level) == PTE_TABLE &&
	       node_child(at, node, index, pte) == child;
}

static void link_drop(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	struct node *child = node_child(at, node, index, pte);

	reported_forget(at, node, index);
	if (!child)
		return;
	if ((pte & PTE_RW) && node->write_links)
		write_link_drop(at, child);
	if (child->parent == node && child->index == index &&
	    !still_links(at, node, index, pte, child))
		child->parent = NULL;
	if (--child->links == 0)
		node_destroy(at, child);
}

/* --- entries ---------------------------------------------------------------------------------- */

static bool entry_add(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	switch (pte_kind(pte, node->level)) {
	case PTE_LEAF:
		return !leaf_is_alias(at, node, index, pte) || leaf_add(at, node, index, pte);
	case PTE_TABLE:
		return link_add(at, node, index, pte);
	case PTE_BAD:
		suspect_add(at, node->table, index);
		return true;
	default:
		return true;
	}
}

static void entry_drop(struct alias_tracker *at, struct node *node, unsigned index, uint64_t pte)
{
	switch (pte_kind(pte, node->level)) {
	case PTE_LEAF:
		if (leaf_is_alias(at, node, index, pte))
			leaf_drop(at, node, index, pte);
		break;
	case PTE_TABLE:
		link_drop(at, node, index, pte);
		break;
	case PTE_BAD:
		reported_forget(at, node, index);
		break;
	default:
		break;
	}
}

/* Takes the new meaning back from the nodes that have got it: those before `failed`. */
static void update_undo(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte,
			const struct node *failed)
{
	struct node *node;

	for (unsigned level = failed->level; level <= PT_LEVELS; level++) {
		LIST_FOREACH (node, &table->nodes[level - 1], of_table) {
			if (node == failed)
				break;
			entry_drop(at, node, index, pte);
		}
	}
}

/*
 * All nodes of the table get the new meaning first, from the top level down: a node of this very
 * table that comes into being on the way is of a lower level, starts with the old meaning (the
 * copy still says so) and has its turn. Then the old meaning goes, from the bottom up: a node
 * that vanishes on the way has had its turn.
 */
static bool update_nodes(struct alias_tracker *at, struct table *table, unsigned index,
			 uint64_t old, uint64_t pte)
{
	struct node *node;

	for (unsigned level = PT_LEVELS; level >= 1; level--) {
		LIST_FOREACH (node, &table->nodes[level - 1], of_table) {
			if (entry_add(at, node, index, pte))
				continue;
			update_undo(at, table, index, pte, node);
			return false;
		}
	}
	entries_set(&table->entries, index, pte, &at->entries_bytes);
	for (unsigned level = 1; level <= PT_LEVELS; level++)
		LIST_FOREACH (node, &table->nodes[level - 1], of_table)
			entry_drop(at, node, index, old);
	return true;
}

/* Does the entry mean the same, to whom it leads and how? */
static bool means_the_same(uint64_t a, uint64_t b)
{
	return !((a ^ b) & PTE_MEANING) || !((a | b) & PTE_P);
}

bool table_update(struct alias_tracker *at, struct table *table, unsigned index, uint64_t pte)
{
	uint64_t old = entries_get(&table->entries, index);

	if (pte && !entries_reserve(&table->entries, index / LINE_ENTRIES, &at->entries_bytes))
		return false;
	if (!means_the_same(old, pte))
		return update_nodes(at, table, index, old, pte);
	entries_set(&table->entries, index, pte, &at->entries_bytes);
	return true;
}

/* A line of a table that is reached in one role, and holds leaves alone: most are such. What these
 * mean doesn't depend on the copy, which is set at last. */
static bool update_leaves(struct alias_tracker *at, struct node *node, unsigned line,
			  const uint64_t *values)
{
	struct entries *entries = &node->table->entries;
	uint64_t copy[LINE_ENTRIES];
	bool ok = true;

	if (!entries_reserve(entries, line, &at->entries_bytes))
		return false;
	entries_get_line(entries, line, copy);
	for (unsigned i = 0; i < LINE_ENTRIES; i++) {
		unsigned index = line * LINE_ENTRIES + i;
		uint64_t old = copy[i], pte = values[i];

		if (!means_the_same(old, pte)) {
			if (!entry_add(at, node, index, pte)) {
				ok = false;
				continue;
			}
			entry_drop(at, node, index, old);
		}
		copy[i] = pte;
	}
	entries_set_line(entries, line, copy, &at->entries_bytes);
	return ok;
}

bool table_update_line(struct alias_tracker *at, struct table *table, unsigned line,
		       const uint64_t *values)
{
	struct node *leaves = table->nr_nodes == 1 ? LIST_FIRST(&table->nodes[0]) : NULL;
	bool ok = true;

	if (leaves)
		return update_leaves(at, leaves, line, values);
	for (unsigned i = 0; i < LINE_ENTRIES; i++)
		ok = table_update(at, table, line * LINE_ENTRIES + i, values[i]) && ok;
	return ok;
}

/* --- roots ------------------------------------------------------------------------------------ */

struct node *node_new_root(struct alias_tracker *at, uint64_t pfn)
{
	struct node *root = node_new(at, pfn, PT_LEVELS, 0);

	if (!root)
		return NULL;
	root->links = 1;
	if (!write_link_add(at, root, NULL, 0)) {
		node_destroy(at, root);
		return NULL;
	}
	return root;
}

void node_drop_root(struct alias_tracker *at, struct node *root)
{
	write_link_drop(at, root);
	node_destroy(at, root);
}

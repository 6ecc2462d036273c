/* SPDX-License-Identifier: MIT */
#include "internal.h"

/* Is the known parent one by which the node is reached as writably as it is reached at all? */
static bool parent_will_do(const struct node *node)
{
	const struct node *parent = node->parent;

	if (!parent || !node->write_links)
		return parent != NULL;
	return parent->write_links && (entries_get(&parent->table->entries, node->index) & PTE_RW);
}

static bool parent_try(const struct alias_tracker *at, struct node *node, struct node *parent)
{
	uint64_t want = PTE_P | node->table->pfn << PAGE_SHIFT;

	if (node->write_links) {
		if (!parent->write_links)
			return false;
		want |= PTE_RW;
	}
	FOREACH_PRESENT (i, &parent->table->entries) {
		uint64_t pte = entries_get(&parent->table->entries, i);

		if ((pte & (want | PTE_ADDR)) != want ||
		    pte_kind(pte, parent->level) != PTE_TABLE ||
		    node_child(at, parent, i, pte) != node)
			continue;
		node->parent = parent;
		node->index = i;
		return true;
	}
	return false;
}

/* The link by which the node was last known to be reached is gone: looks for another. */
static void parent_find(const struct alias_tracker *at, struct node *node)
{
	struct table *table;
	struct node *parent;

	TAILQ_FOREACH (table, &at->by_change, by_change)
		LIST_FOREACH (parent, &table->nodes[node->level], of_table)
			if (parent_try(at, node, parent))
				return;
}

struct path node_path(const struct alias_tracker *at, struct node *node, unsigned index)
{
	uint64_t pte = entries_get(&node->table->entries, index);
	struct path path = {
		.va = (uint64_t)index << pte_shift(node->level),
		.user = pte & PTE_US,
		.exec = !(pte & PTE_NX),
	};

	while (node->level < PT_LEVELS) {
		if (!parent_will_do(node))
			parent_find(at, node);
		pte = entries_get(&node->parent->table->entries, node->index);
		path.va += (uint64_t)node->index << pte_shift(node->level + 1);
		path.user = path.user && (pte & PTE_US);
		path.exec = path.exec && !(pte & PTE_NX);
		node = node->parent;
	}
	path.va = va_canonical(path.va);
	return path;
}

/* SPDX-License-Identifier: MIT */
/*
 * What a guest does against the rules. In the middle of a sync things look wrong that are not: a
 * table may be seen before the entry that unlinks it. So entries are only marked on the way, and
 * judged when all tables have been read.
 */
#include "internal.h"

void suspect_add(struct alias_tracker *at, struct table *table, unsigned index)
{
	bit_set(table->suspect, index);
	if (table->is_suspect)
		return;
	table->is_suspect = true;
	TAILQ_INSERT_TAIL(&at->suspects, table, suspects);
}

void suspect_forget_table(struct alias_tracker *at, struct table *table)
{
	if (!table->is_suspect)
		return;
	table->is_suspect = false;
	TAILQ_REMOVE(&at->suspects, table, suspects);
}

bool entry_violates(const struct alias_tracker *at, const struct node *node, unsigned index,
		    struct at_violation *out)
{
	uint64_t pte = node->table->copy[index];
	enum pte_kind kind = pte_kind(pte, node->level);

	out->pfn = pte_pfn(pte, node->level, kind);
	switch (kind) {
	case PTE_LEAF:
		out->kind = AT_V_WRITABLE;
		return node->write_links && leaf_is_alias(at, node, index, pte) &&
		       pin_within(at, out->pfn, node->level, &out->pfn);
	case PTE_TABLE:
		out->kind = node_child(at, node, index, pte) ? AT_V_UNPINNED : AT_V_BAD_TABLE;
		return out->kind == AT_V_BAD_TABLE ||
		       at_pinned_level(at, out->pfn) != node->level - 1u;
	case PTE_BAD:
		out->kind = AT_V_BAD_TABLE;
		return true;
	default:
		return false;
	}
}

bool entry_judge(struct alias_tracker *at, struct node *node, unsigned index,
		 struct at_violation *out)
{
	if (!entry_violates(at, node, index, out))
		return false;
	out->va = node_path(at, node, index).va;
	out->pte_gpa = (node->table->pfn << PAGE_SHIFT) + index * sizeof(uint64_t);
	out->level = node->level;
	return true;
}

/* In any of the roles in which the table is reached. */
static bool table_judge(struct alias_tracker *at, struct table *table, unsigned index,
			struct at_violation *out)
{
	struct node *node;

	for (unsigned level = 1; level <= PT_LEVELS; level++)
		LIST_FOREACH (node, &table->nodes[level - 1], of_table)
			if (entry_judge(at, node, index, out))
				return true;
	return false;
}

void suspects_report(struct alias_tracker *at)
{
	struct at_violation violation;
	struct table *table;

	while ((table = TAILQ_FIRST(&at->suspects))) {
		suspect_forget_table(at, table);
		for (unsigned i = 0; i < PT_ENTRIES; i++) {
			if (!bit_test(table->suspect, i))
				continue;
			bit_clear(table->suspect, i);
			if (bit_test(table->reported, i) || !table_judge(at, table, i, &violation))
				continue;
			bit_set(table->reported, i);
			violation_queue(at, &violation);
		}
	}
}

bool suspects_find(struct alias_tracker *at, struct at_violation *out)
{
	bool found = false;
	struct table *table;

	while ((table = TAILQ_FIRST(&at->suspects))) {
		suspect_forget_table(at, table);
		for (unsigned i = 0; i < PT_ENTRIES; i++) {
			if (!bit_test(table->suspect, i))
				continue;
			bit_clear(table->suspect, i);
			found = found || table_judge(at, table, i, out);
		}
	}
	return found;
}

void violation_queue(struct alias_tracker *at, const struct at_violation *violation)
{
	struct violations *v = &at->violations;

	v->total++;
	if (v->nr == VIOLATIONS_MAX)
		return;
	v->ring[(v->first + v->nr) % VIOLATIONS_MAX] = *violation;
	v->nr++;
}

bool at_next_violation(struct alias_tracker *at, struct at_violation *out)
{
	struct violations *v = &at->violations;

	if (!v->nr)
		return false;
	*out = v->ring[v->first];
	v->first = (v->first + 1) % VIOLATIONS_MAX;
	v->nr--;
	return true;
}

const char *at_violation_name(enum at_violation_kind kind)
{
	switch (kind) {
	case AT_V_WRITABLE:
		return "writable mapping of a page table";
	case AT_V_UNPINNED:
		return "link to a table that is not pinned at that level";
	case AT_V_BAD_TABLE:
		return "entry with reserved bits or a table outside of memory";
	}
	return "unknown violation";
}

/* SPDX-License-Identifier: MIT */
/*
 * What a guest does against the rules. In the middle of a sync things look wrong that are not: a
 * table may be seen before the entry that unlinks it. So entries are only marked on the way, and
 * judged when all tables have been read.
 */
#include <string.h>

#include "internal.h"

void recheck_add(struct alias_tracker *at, struct table *table, unsigned index)
{
	if (!table->in_recheck) {
		table->in_recheck = true;
		memset(table->to_recheck, 0, sizeof(table->to_recheck));
		TAILQ_INSERT_TAIL(&at->recheck_queue, table, recheck);
	}
	table->to_recheck[index / 64] |= 1ull << index % 64;
}

void recheck_forget_table(struct alias_tracker *at, struct table *table)
{
	if (!table->in_recheck)
		return;
	table->in_recheck = false;
	TAILQ_REMOVE(&at->recheck_queue, table, recheck);
}

bool entry_violates(const struct alias_tracker *at, const struct role *role, unsigned index,
		    struct at_violation *out)
{
	uint64_t pte = copy_get(&role->table->copy, index);
	enum pte_kind kind = pte_kind(pte, role->level);
	unsigned counts;

	if (role->view.all == PLACE_NONE)
		return false;
	*out = (struct at_violation){
		.pfn = pte_pfn(pte, role->level, kind),
		.pte_gpa = (role->table->pfn << PAGE_SHIFT) + index * sizeof(pte),
		.level = role->level,
	};
	switch (kind) {
	case PTE_LEAF:
		counts = leaf_counts_as(at, role->view, role->level, index, pte);
		return counts &&
		       state_forbids(at, out->pfn, role->level, counts & LEAF_WRITABLE, pte, out);
	case PTE_TABLE:
		if (!role_is_judged(at, role))
			return false;
		out->kind = role_child(at, role, pte) ? AT_V_UNPINNED : AT_V_BAD_TABLE;
		return out->kind == AT_V_BAD_TABLE ||
		       at_pinned_level(at, out->pfn) != role->level - 1u;
	case PTE_BAD:
		out->kind = AT_V_BAD_TABLE;
		return role_is_judged(at, role);
	default:
		return false;
	}
}

void violation_queue(struct alias_tracker *at, struct role *role, unsigned index,
		     const struct at_violation *violation)
{
	struct violations *v = &at->violations;
	struct at_violation *kept;

	v->total++;
	if (v->nr == VIOLATIONS_MAX)
		return;
	kept = &v->ring[(v->first + v->nr++) % VIOLATIONS_MAX];
	*kept = *violation;
	kept->va = role_path(at, role, index).va;
}

/* An entry of a table that is reached at several levels has a meaning at each. */
static uint64_t entry_name(const struct table *table, unsigned level, unsigned index)
{
	return table->pfn << 12 | index << 3 | (level - 1);
}

void reported_delete(struct alias_tracker *at, const struct role *role, unsigned index)
{
	map_delete(&at->violations.reported, entry_name(role->table, role->level, index));
}

/* Reports an entry once, until it changes or breaks another rule: if the frame that it maps was
 * ballooned and is now a table, the entry itself has not changed. (Where it is not remembered, for
 * want of memory or as so many are, perhaps once more.) */
static void entry_report(struct alias_tracker *at, struct table *table, unsigned level,
			 unsigned index)
{
	uint64_t name = entry_name(table, level, index);
	struct role *role = table->role[level - 1];
	struct at_violation violation;

	if (!role || !entry_violates(at, role, index, &violation) ||
	    map_get(&at->violations.reported, name) == 1 + (uint64_t)violation.kind)
		return;
	if (at->violations.reported.used < REPORTED_MAX)
		map_put(&at->violations.reported, name, 1 + (uint64_t)violation.kind);
	violation_queue(at, role, index, &violation);
}

/* Takes one entry off the queue. */
static bool recheck_take(struct alias_tracker *at, struct table **table, unsigned *index)
{
	while ((*table = TAILQ_FIRST(&at->recheck_queue))) {
		for (unsigned word = 0; word < PT_ENTRIES / 64; word++) {
			uint64_t *bits = &(*table)->to_recheck[word];

			if (!*bits)
				continue;
			*index = word * 64 + __builtin_ctzll(*bits);
			*bits &= *bits - 1;
			return true;
		}
		recheck_forget_table(at, *table);
	}
	return false;
}

void recheck_report(struct alias_tracker *at)
{
	struct table *table;
	unsigned index;

	while (recheck_take(at, &table, &index))
		for (unsigned level = at->levels; level >= 1; level--)
			entry_report(at, table, level, index);
}

bool recheck_clear(struct alias_tracker *at)
{
	bool any = !TAILQ_EMPTY(&at->recheck_queue);
	struct table *table;
	unsigned index;

	while (recheck_take(at, &table, &index))
		;
	return any;
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
	case AT_V_UNLOGGED:
		return "entry changed without a record in the log";
	case AT_V_MISLOGGED:
		return "entry whose records in the log are wrong";
	case AT_V_BALLOONED:
		return "mapping of a frame in the balloon";
	case AT_V_MEMTYPE:
		return "mapping of a frame with another memory type than it has";
	}
	return "unknown violation";
}

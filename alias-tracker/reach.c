/* SPDX-License-Identifier: MIT */
/* With which rights, and at which addresses, roles are reached from the roots. */
#include <stdlib.h>

#include "survey.h"

static unsigned pte_rights(uint64_t pte)
{
	return (pte & PTE_RW ? MAY_WRITE : 0) | (pte & PTE_US ? MAY_USER : 0) |
	       (pte & PTE_NX ? 0 : MAY_EXEC);
}

static void reach_add(const struct alias_tracker *at, struct reach *reach, unsigned way,
		      uint64_t va)
{
	unsigned bit = 1u << way;

	if (!(reach->ways & bit))
		reach->va[way][0] = va;
	else if (!(reach->several & bit) && va != reach->va[way][0])
		reach->va[way][1] = va;
	else
		return;
	reach->several |= reach->ways & bit;
	reach->ways |= bit;
	reach->exempt |= window_touches(at, va, 1ull << pte_shift(reach->role->level + 1));
}

static void link_add(const struct alias_tracker *at, const struct reach *from, struct reach *to,
		     unsigned index, uint64_t pte)
{
	uint64_t offset = (uint64_t)index << pte_shift(from->role->level);

	if (from->role->level == at->levels)
		offset = va_canonical(offset, at->levels);
	for (unsigned ways = from->ways; ways; ways &= ways - 1) {
		unsigned way = (unsigned)__builtin_ctz(ways), below = way & pte_rights(pte);

		reach_add(at, to, below, from->va[way][0] + offset);
		if (from->several >> way & 1)
			reach_add(at, to, below, from->va[way][1] + offset);
	}
}

static void role_reach(const struct alias_tracker *at, struct reaches *reaches, size_t i)
{
	const struct reach *reach = &reaches->reach[i];
	const struct copy *copy = &reach->role->table->copy;

	FOREACH_PRESENT (index, copy) {
		uint64_t pte = copy_get(copy, index);
		const struct role *child = NULL;

		if (pte_kind(pte, reach->role->level) == PTE_TABLE)
			child = role_child(at, reach->role, pte);
		if (child && child->reach)
			link_add(at, reach, &reaches->reach[child->reach - 1], index, pte);
	}
}

/* Numbers the roles of one level, those that are reached. */
static void level_list(struct alias_tracker *at, struct reaches *reaches, unsigned level)
{
	struct table *table;

	TAILQ_FOREACH_REVERSE(table, &at->by_change, table_queue, by_change)
	{
		struct role *role = table->role[level - 1];

		if (!role)
			continue;
		role->reach = 0;
		if (role->view.all == PLACE_NONE)
			continue;
		reaches->reach[reaches->nr] = (struct reach){.role = role};
		role->reach = ++reaches->nr;
	}
}

static void roots_reach(const struct alias_tracker *at, struct reaches *reaches,
			const struct root_list *roots)
{
	for (size_t i = 0; i < roots->nr; i++) {
		const struct role *root = role_find(at, roots->pfn[i], at->levels);

		if (root && root->reach)
			reach_add(at, &reaches->reach[root->reach - 1],
				  MAY_WRITE | MAY_USER | MAY_EXEC, 0);
	}
}

bool reach_find(struct alias_tracker *at, struct reaches *reaches)
{
	size_t max = at->nr_tables + at->nr_more_roles;

	*reaches = (struct reaches){.reach = malloc((max + 1) * sizeof(*reaches->reach))};
	if (!reaches->reach || max > UINT32_MAX)
		return false;
	for (unsigned level = at->levels; level >= 1; level--)
		level_list(at, reaches, level);
	roots_reach(at, reaches, &at->roots);
	roots_reach(at, reaches, &at->follows);
	for (size_t i = 0; i < reaches->nr && reaches->reach[i].role->level > 1; i++) {
		if (wants_stop(at))
			return false;
		role_reach(at, reaches, i);
	}
	return true;
}

/* --- leaves ----------------------------------------------------------------------------------- */

static bool way_will_do(unsigned rights, unsigned wanted)
{
	unsigned needed = wanted & (NR_WAYS - 1);

	return (rights & needed) == needed && !(wanted & WAY_KERNEL && rights & MAY_USER);
}

/* By one set of rights. */
static bool way_try(const struct alias_tracker *at, const struct reach *reach, unsigned way,
		    struct at_alias *out, uint64_t gpa, bool avoid_exempt)
{
	uint64_t offset = out->va;

	for (unsigned i = 0; i < 1u + (reach->several >> way & 1); i++) {
		out->va = reach->va[way][i] + offset;
		if (!avoid_exempt || !window_exempts(at, out->va, gpa))
			return true;
	}
	out->va = offset;
	return false;
}

bool reach_leaf(const struct alias_tracker *at, const struct reach *reach, unsigned index,
		unsigned wanted, struct at_alias *out)
{
	const struct role *role = reach->role;
	uint64_t pte = copy_get(&role->table->copy, index);
	uint64_t gpa = pte_pfn(pte, role->level, PTE_LEAF) << PAGE_SHIFT;

	*out = (struct at_alias){
		.va = (uint64_t)index << pte_shift(role->level),
		.pte_gpa = (role->table->pfn << PAGE_SHIFT) + index * sizeof(pte),
		.pte = pte,
		.level = role->level,
	};
	for (unsigned way = 0; way < NR_WAYS; way++) {
		unsigned rights = way & pte_rights(pte);

		if (!(reach->ways >> way & 1) || !way_will_do(rights, wanted) ||
		    !way_try(at, reach, way, out, gpa, wanted & WAY_NOT_EXEMPT))
			continue;
		out->user = rights & MAY_USER;
		out->exec = rights & MAY_EXEC;
		return true;
	}
	return false;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "../../../alias-tracker/internal.h"
#include "model_run.h"

void spare_nothing(struct world *w)
{
	w->at->max_spare = 0;
}

/* --- comparing -------------------------------------------------------------------------------- */

void compare_frame(struct run *r, uint64_t pfn)
{
	unsigned count = model_count(&r->m, pfn);
	unsigned mapped = r->m.counts_all ? model_mapped(&r->m, pfn) : 0;

	must(at_alias_count(r->w.at, pfn) == count);
	must(at_has_alias(r->w.at, pfn) == (count > 0));
	must(at_mapping_count(r->w.at, pfn) == mapped);
	must(at_is_mapped(r->w.at, pfn) == (mapped > 0));
	must(at_pinned_level(r->w.at, pfn) == r->m.pinned[pfn]);
	must(at_is_ballooned(r->w.at, pfn) == r->m.ballooned[pfn]);
	must(at_memtype(r->w.at, pfn) == r->m.type[pfn]);
	must(at_is_followed(r->w.at, pfn) == model_is_followed(&r->m, pfn));
}

void compare_all(struct run *r)
{
	for (uint64_t pfn = 0; pfn < r->m.frames; pfn++)
		compare_frame(r, pfn);
}

void compare_some(struct run *r)
{
	for (unsigned i = 0; i < M_POOL; i++)
		compare_frame(r, r->m.pool[i]);
	for (unsigned i = 0; i < 24; i++)
		compare_frame(r, some_frame(r));
	must(world_stats(&r->w).roots == r->m.nr_roots);
	must(world_stats(&r->w).followed == r->m.nr_follows);
}

/* Without memory for TLB-pending frames every frame counts as one. */
static bool all_are_pending(struct run *r)
{
	return r->w.at->tlb_pending.floor.cleared > 0;
}

static bool wrong_state(const struct model *m, uint64_t pfn, enum at_to to)
{
	if (to == AT_TO_TABLE)
		return m->pinned[pfn] || m->type[pfn];
	if (to == AT_TO_BALLOON && m->type[pfn])
		return true;
	return m->pinned[pfn] || model_followed(m, pfn);
}

/* Flushed before this, the frame must be refused. */
static uint64_t must_stamp(const struct model *m, uint64_t pfn, struct at_transition to)
{
	uint64_t stamp = 0;

	if (to.to == AT_TO_TABLE)
		return m->must[pfn];
	for (unsigned type = 0; type < 8; type++)
		if ((to.to == AT_TO_BALLOON || type != to.arg) &&
		    m->must_type[pfn][type].cleared > stamp)
			stamp = m->must_type[pfn][type].cleared;
	return stamp;
}

/* Flushed before this, it may be. */
static uint64_t may_stamp(const struct model *m, uint64_t pfn, struct at_transition to)
{
	uint64_t stamp = m->may[pfn];

	if (to.to == AT_TO_TABLE)
		return stamp;
	if (stamp < m->may_all[pfn].cleared)
		stamp = m->may_all[pfn].cleared;
	if (stamp < m->may_any.cleared)
		stamp = m->may_any.cleared;
	return model_mapped(m, pfn) && stamp < m->may_mapped.cleared ? m->may_mapped.cleared
								     : stamp;
}

unsigned check_allows(struct run *r, uint64_t pfn, struct at_transition to)
{
	if (!model_has_memory(&r->m, pfn))
		return 1 << AT_BAD_FRAME;
	if (to.to == AT_TO_TABLE && (to.arg < 1 || to.arg > r->m.levels))
		return 1 << AT_BAD_LEVEL;
	if (to.to == AT_TO_MEMTYPE && to.arg > 7)
		return 1 << AT_BAD_MEMTYPE;
	if (r->m.ballooned[pfn])
		return 1 << AT_IS_BALLOONED;
	if (wrong_state(&r->m, pfn, to.to))
		return 1 << AT_BAD_STATE;
	if (to.to != AT_TO_TABLE && !r->m.counts_all)
		return 1 << AT_NO_MEMORY;
	if (model_in_the_way(&r->m, pfn, to))
		return 1 << AT_ALIAS;
	if (r->m.flushed < must_stamp(&r->m, pfn, to))
		return 1 << AT_STALE_TLB;
	if (r->m.flushed < may_stamp(&r->m, pfn, to) || all_are_pending(r))
		return 1 << AT_STALE_TLB | 1 << AT_OK;
	return 1 << AT_OK;
}

void compare_check(struct run *r, uint64_t pfn, struct at_transition to)
{
	enum at_verdict verdict = at_may(r->w.at, pfn, to);

	must_be(check_allows(r, pfn, to) >> verdict & 1, at_verdict_name(verdict));
	r->tally.stale += verdict == AT_STALE_TLB;
}

/* Does this leaf, at this address, map the frame? */
static bool maps_frame(const struct at_alias *a, uint64_t pfn)
{
	uint64_t pages = (1ull << 9 * (a->level - 1)) - 1;
	uint64_t first = a->pte >> 12 & ((1ull << 40) - 1) & ~pages;

	return first + (a->va >> 12 & pages) == pfn;
}

void compare_aliases(struct run *r, uint64_t pfn, struct at_transition to)
{
	struct at_alias found[40];
	size_t max = percent(r, 30) ? 1 : 1 + rnd(r, 40);
	size_t n = at_in_the_way(r->w.at, pfn, to, found, max);
	uint64_t expected = model_in_the_way(&r->m, pfn, to);

	if (to.to != AT_TO_TABLE && !r->m.counts_all)
		expected = 0;
	must(n == (expected < max ? expected : max));
	for (size_t i = 0; i < n; i++) {
		const struct at_alias *a = &found[i];

		must(model_leads(&r->m, a->va, a->pte_gpa >> 12, a->level, a->pte_gpa / 8 % 512,
				 to.to == AT_TO_TABLE, a));
		must(maps_frame(a, pfn));
		for (size_t j = 0; j < i; j++)
			must(found[j].va != a->va || found[j].pte_gpa != a->pte_gpa ||
			     found[j].level != a->level);
	}
	r->tally.aliases += n;
}

void compare_oracle(struct run *r, uint64_t pfn, struct at_transition to)
{
	uint64_t ways = model_ways(&r->m, pfn, to);
	struct at_alias found[3];

	must(at_oracle_of(r->w.at, pfn, to, found, 3) == ways);
	must((model_in_the_way(&r->m, pfn, to) > 0) == (ways > 0));
	for (unsigned i = 0; i < 3 && i < ways; i++)
		must(model_leads(&r->m, found[i].va, found[i].pte_gpa >> 12, found[i].level,
				 found[i].pte_gpa / 8 % 512, to.to == AT_TO_TABLE, &found[i]));
}

/* --- TLB-pending ------------------------------------------------------------------------------ */

void remember(struct run *r, struct before *before)
{
	for (unsigned level = 1; level <= M_LEAF_LEVELS; level++) {
		uint64_t units = m_nr_units(&r->m, level);

		memcpy(before->count.of_type[level - 1], r->m.count.of_type[level - 1],
		       units * sizeof(m_types));
		memcpy(before->count.writable[level - 1], r->m.count.writable[level - 1],
		       units * sizeof(uint16_t));
		memset(before->maybe.bits[level - 1], 0, units);
	}
	model_maybe(&r->m, false, &before->maybe);
	model_maybe(&r->m, true, &before->maybe);
}

struct m_stamp stamp_now(const struct run *r)
{
	return (struct m_stamp){.cleared = r->w.clock.cleared, .now = r->w.clock.now};
}

static bool differ(m_types a, m_types b)
{
	return memcmp(&a, &b, sizeof(a)) != 0;
}

/* Which types of mappings the frame has lost some of. */
static void stamp_types(struct run *r, uint64_t pfn, m_types before, m_types now)
{
	for (unsigned type = 0; type < 8; type++)
		if (now[type] < before[type])
			r->m.must_type[pfn][type] = stamp_now(r);
}

static void forget(struct m_stamp *stamp, uint64_t since)
{
	if (stamp->now < since)
		*stamp = (struct m_stamp){0};
}

void forget_stamps(struct run *r, uint64_t since)
{
	for (uint64_t pfn = 0; pfn < r->m.frames; pfn++) {
		for (unsigned type = 0; type < 8; type++)
			forget(&r->m.must_type[pfn][type], since);
		forget(&r->m.may_all[pfn], since);
	}
	forget(&r->m.may_any, since);
	forget(&r->m.may_mapped, since);
}

void stamp(struct run *r, const struct before *before)
{
	r->m.flushed = r->w.clock.flushed;
	if (r->w.clock.flushed >= r->w.clock.cleared)
		return;
	r->m.may_mapped = stamp_now(r);
	for (uint64_t pfn = 0; pfn < r->m.frames; pfn++) {
		m_types before_types = m_of_type(&before->count, pfn);
		m_types types = m_of_type(&r->m.count, pfn);
		unsigned writable = m_writable(&before->count, pfn);
		unsigned maybe = m_maybe(&before->maybe, pfn);

		if (differ(before_types, types))
			stamp_types(r, pfn, before_types, types);
		if (maybe && !differ(types, (m_types){0}))
			r->m.may_all[pfn] = stamp_now(r);
		if (model_count(&r->m, pfn))
			continue;
		if (writable) {
			r->m.must[pfn] = r->w.clock.cleared;
			r->m.must_now[pfn] = r->w.clock.now;
		}
		if (writable || (maybe & M_WRITABLE)) {
			r->m.may[pfn] = r->w.clock.cleared;
			r->m.may_now[pfn] = r->w.clock.now;
		}
	}
}

/* --- reports ---------------------------------------------------------------------------------- */

static bool same_meaning(uint64_t a, uint64_t b)
{
	return !((a ^ b) & 0x000ffffffffff09bull) || !((a | b) & E_P);
}

static unsigned entry_of(uint64_t pte_gpa)
{
	for (unsigned k = 0; k < M_ENTRIES; k++)
		if (m_index[k] == pte_gpa / 8 % 512)
			return k;
	ck_abort_msg("violation reported for an entry that was never written");
}

void check_report(struct run *r, const struct at_violation *v, bool of_root)
{
	unsigned entry = entry_of(v->pte_gpa);
	bool found = false;

	for (unsigned i = 0; i < r->m.nr_violations && !found; i++) {
		const struct m_violation *mv = &r->m.violations[i];

		found = mv->table == v->pte_gpa >> 12 && mv->entry == entry &&
			mv->kind == v->kind && mv->level == v->level && mv->pfn == v->pfn &&
			(!of_root || mv->of_root);
	}
	must_be(found, at_violation_name(v->kind));
	must(model_leads(&r->m, v->va, v->pte_gpa >> 12, v->level, m_index[entry],
			 v->kind == AT_V_WRITABLE, NULL));
	r->tally.reports++;
}

void take_reports(struct run *r, struct marks *marks, bool judge)
{
	struct at_violation v;

	while (at_next_violation(r->w.at, &v)) {
		int slot = r->m.in_pool[v.pte_gpa >> 12];
		unsigned entry = entry_of(v.pte_gpa);

		marks->nr_reported++;
		if (judge) {
			must_be(!marks->reported[slot][entry][v.level], at_violation_name(v.kind));
			check_report(r, &v, false);
		}
		marks->reported[slot][entry][v.level] = true;
	}
}

void mark_before(struct run *r, struct marks *marks)
{
	memset(marks, 0, sizeof(*marks));
	memcpy(marks->seen, r->m.seen, sizeof(r->m.seen));
	for (unsigned i = 0; i < r->m.nr_violations; i++) {
		const struct m_violation *v = &r->m.violations[i];

		marks->was[r->m.in_pool[v->table]][v->entry][v->level] = true;
	}
}

/* Did nothing change but leaves in tables that are L1 and nothing else? */
static bool only_leaves_changed(struct run *r, const struct marks *marks)
{
	bool changed[M_POOL] = {false};

	for (unsigned slot = 0; slot < M_POOL; slot++)
		for (unsigned k = 0; k < M_ENTRIES; k++)
			if (!same_meaning(r->m.seen[slot][k], marks->seen[slot][k]))
				changed[slot] = true;
	for (unsigned i = 0; i < r->m.nr_roles; i++) {
		int slot = r->m.in_pool[r->m.roles[i].pfn];

		if (r->m.roles[i].level > 1 && slot >= 0 && changed[slot])
			return false;
	}
	return true;
}

void check_reports_complete(struct run *r, const struct marks *marks)
{
	bool leaves_only = !marks->linked && only_leaves_changed(r, marks);

	if (marks->nr_reported >= VIOLATIONS_MAX)
		return;
	for (unsigned i = 0; i < r->m.nr_violations; i++) {
		const struct m_violation *v = &r->m.violations[i];
		int slot = r->m.in_pool[v->table];
		bool old = marks->was[slot][v->entry][v->level] &&
			   same_meaning(r->m.seen[slot][v->entry], marks->seen[slot][v->entry]);

		if (!old)
			must_be(marks->reported[slot][v->entry][v->level],
				at_violation_name(v->kind));
		else if (leaves_only)
			must_be(!marks->reported[slot][v->entry][v->level],
				at_violation_name(v->kind));
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * A second opinion: walks the tables in memory as they are now. Of the tracker it uses the lists of
 * roots and the windows, nothing else.
 */
#include "internal.h"

/* Lines of entries of which some are present, as bits; most tables are nearly empty. What a walk
 * has found of a table it keeps in `seen`, under a key of level 0: it comes by for each level, and
 * more often. The entries of these lines are loaded anew, and judged by that. */
static uint64_t lines_used(struct map *seen, uint64_t key, const uint64_t *entries)
{
	uint64_t unused = map_get(seen, key);

	for (unsigned i = unused ? PT_ENTRIES : 0; i < PT_ENTRIES; i += LINE_ENTRIES) {
		uint64_t any = 0;

		for (unsigned j = i; j < i + LINE_ENTRIES; j++)
			any |= pte_load(&entries[j]);
		unused |= (uint64_t) !(any & PTE_P) << i / LINE_ENTRIES;
	}
	if (unused)
		map_put(seen, key, unused);
	return ~unused;
}

/* For each entry i of these lines. `break` leaves only its line. */
#define FOREACH_ENTRY(i, lines)                                                                    \
	for (uint64_t rest_ = (lines); rest_; rest_ &= rest_ - 1)                                  \
		for (unsigned i = (unsigned)__builtin_ctzll(rest_) * LINE_ENTRIES,                 \
			      end_ = i + LINE_ENTRIES;                                             \
		     i < end_; i++)

struct walk {
	const struct alias_tracker *at;
	uint64_t pfn;
	struct at_transition to;
	struct at_alias *out;
	size_t filled, max;
	/* (pfn, level) of a table outside of exempt windows -> 1 + leaves found below it. Keeps a
	 * walk linear in the number of tables: there can be 512^4 paths. Without memory for it the
	 * walk is as right, and slower. */
	struct map seen;
};

/* What is known of the way down to a table. */
struct way {
	uint64_t va; /* the first address it maps */
	unsigned level;
	bool user, exec;
};

static size_t walk_leaf(struct walk *w, const struct way *way, uint64_t pte_gpa, uint64_t pte)
{
	uint64_t first = pte_pfn(pte, way->level, PTE_LEAF);
	uint64_t page = w->pfn - first;

	if (page >= 1ull << (pte_shift(way->level) - PAGE_SHIFT) ||
	    window_exempts(w->at, way->va, first << PAGE_SHIFT) ||
	    (w->to.to == AT_TO_MEMTYPE && pte_type(pte, way->level) == w->to.arg))
		return 0;
	if (w->filled < w->max)
		w->out[w->filled++] = (struct at_alias){
			.va = way->va + (page << PAGE_SHIFT),
			.pte_gpa = pte_gpa,
			.pte = pte,
			.level = way->level,
			.user = way->user,
			.exec = way->exec,
		};
	return 1;
}

static size_t walk_table(struct walk *w, uint64_t pfn, const struct way *to);

static size_t walk_entry(struct walk *w, const struct way *way, uint64_t pte_gpa, uint64_t pte)
{
	struct way below = {.va = way->va, .user = way->user, .exec = way->exec};
	enum pte_kind kind = pte_kind(pte, way->level);

	if (kind == PTE_LEAF)
		return walk_leaf(w, way, pte_gpa, pte);
	if (kind != PTE_TABLE)
		return 0;
	below.level = way->level - 1;
	return walk_table(w, pte_pfn(pte, way->level, kind), &below);
}

/* Where only writable leaves are in the way, only writable paths lead here. */
static size_t walk_table(struct walk *w, uint64_t pfn, const struct way *to)
{
	uint64_t need = w->to.to == AT_TO_TABLE ? PTE_P | PTE_RW : PTE_P;
	const uint64_t *entries = frame_entries(w->at, pfn);
	bool exempt = window_touches(w->at, to->va, 1ull << pte_shift(to->level + 1));
	uint64_t key = pfn << 3 | to->level;
	uint64_t seen = exempt ? 0 : map_get(&w->seen, key), lines;
	size_t found = 0;

	if (!entries)
		return 0;
	if (seen && (seen == 1 || w->filled == w->max))
		return seen - 1;
	lines = lines_used(&w->seen, pfn << 3, entries);
	FOREACH_ENTRY (i, lines) {
		uint64_t pte = pte_load(&entries[i]);
		struct way way;

		if ((pte & need) != need)
			continue;
		way = (struct way){
			.va = va_canonical(to->va + ((uint64_t)i << pte_shift(to->level)),
					   w->at->levels),
			.level = to->level,
			.user = to->user && (pte & PTE_US),
			.exec = to->exec && !(pte & PTE_NX),
		};
		found += walk_entry(w, &way, (pfn << PAGE_SHIFT) + i * sizeof(pte), pte);
	}
	if (!exempt)
		map_put(&w->seen, key, 1 + found);
	return found;
}

size_t at_oracle_of(const struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		    struct at_alias *out, size_t max)
{
	struct walk w = {.at = at, .pfn = pfn, .to = to, .out = out, .max = max};
	struct way root = {.level = at->levels, .user = true, .exec = true};
	size_t found = 0;

	if (pfn >= at->config.frames)
		return 0;
	for (size_t i = 0; i < at->roots.nr; i++)
		found += walk_table(&w, at->roots.pfn[i], &root);
	for (size_t i = 0; i < at->follows.nr; i++)
		if (at_pinned_level(at, at->follows.pfn[i]) != at->levels)
			found += walk_table(&w, at->follows.pfn[i], &root);
	map_clear(&w.seen);
	return found;
}

size_t at_oracle(const struct alias_tracker *at, uint64_t pfn, struct at_alias *out, size_t max)
{
	return at_oracle_of(at, pfn, (struct at_transition){.to = AT_TO_TABLE}, out, max);
}

/* --- all uses of a frame ---------------------------------------------------------------------- */

struct uses_walk {
	const struct alias_tracker *at;
	uint64_t pfn;
	struct at_uses uses;
	/* (pfn, level) of tables outside of exempt windows -> rights, as bits, with which they were
	 * walked. */
	struct map seen;
};

struct uses_way {
	uint64_t va;
	unsigned level;
	bool writable, user, exec;
};

static bool leaf_maps(uint64_t pte, unsigned level, uint64_t pfn)
{
	return pfn - pte_pfn(pte, level, PTE_LEAF) < 1ull << (pte_shift(level) - PAGE_SHIFT);
}

static void uses_leaf(struct uses_walk *w, const struct uses_way *way, uint64_t pte)
{
	uint64_t first = pte_pfn(pte, way->level, PTE_LEAF);
	bool exempt = window_exempts(w->at, way->va, first << PAGE_SHIFT);

	w->uses.kernel_exec |= way->exec && !way->user;
	w->uses.user_exec |= way->exec && way->user;
	w->uses.writable |= way->writable && !exempt;
	w->uses.exempt_writable |= way->writable && exempt;
	w->uses.memtypes |= 1u << pte_type(pte, way->level);
}

static bool uses_seen(struct uses_walk *w, uint64_t pfn, const struct uses_way *to)
{
	uint64_t rights = 1ull << (to->writable << 2 | to->user << 1 | to->exec), before;
	struct map_slot *slot;

	if (window_touches(w->at, to->va, 1ull << pte_shift(to->level + 1)))
		return false;
	slot = map_make(&w->seen, pfn << 3 | to->level);
	if (!slot)
		return false;
	before = slot->value;
	slot->value |= rights;
	return before & rights;
}

static void uses_table(struct uses_walk *w, uint64_t pfn, const struct uses_way *to)
{
	const uint64_t *entries = frame_entries(w->at, pfn);
	uint64_t lines;

	if (!entries || uses_seen(w, pfn, to))
		return;
	lines = lines_used(&w->seen, pfn << 3, entries);
	FOREACH_ENTRY (i, lines) {
		uint64_t pte = pte_load(&entries[i]);
		enum pte_kind kind = pte_kind(pte, to->level);
		struct uses_way way;

		if (kind == PTE_NONE || (kind == PTE_LEAF && !leaf_maps(pte, to->level, w->pfn)))
			continue;
		way = (struct uses_way){
			.va = va_canonical(to->va + ((uint64_t)i << pte_shift(to->level)),
					   w->at->levels),
			.level = to->level,
			.writable = to->writable && (pte & PTE_RW),
			.user = to->user && (pte & PTE_US),
			.exec = to->exec && !(pte & PTE_NX),
		};
		if (kind == PTE_LEAF)
			uses_leaf(w, &way, pte);
		way.level--;
		if (kind == PTE_TABLE)
			uses_table(w, pte_pfn(pte, to->level, kind), &way);
	}
}

struct at_uses at_oracle_uses(const struct alias_tracker *at, uint64_t pfn)
{
	struct uses_walk w = {.at = at, .pfn = pfn};
	struct uses_way root = {0, at->levels, true, true, true};

	if (pfn >= at->config.frames)
		return w.uses;
	for (size_t i = 0; i < at->roots.nr; i++)
		uses_table(&w, at->roots.pfn[i], &root);
	for (size_t i = 0; i < at->follows.nr; i++)
		uses_table(&w, at->follows.pfn[i], &root);
	map_clear(&w.seen);
	w.uses.exempt_writable = w.uses.exempt_writable && !w.uses.writable;
	return w.uses;
}

/* SPDX-License-Identifier: MIT */
#include "internal.h"

static uint64_t number_of(const struct alias_tracker *at, enum count_kind kind, uint64_t pfn)
{
	uint64_t nr = 0;

	for (unsigned level = 1; level <= 3; level++)
		nr += leaf_count(&at->frames, kind, level, pfn);
	return nr;
}

bool at_has_alias(const struct alias_tracker *at, uint64_t pfn)
{
	return frame_is_mapped(&at->frames, COUNT_WRITABLE, pfn);
}

uint64_t at_alias_count(const struct alias_tracker *at, uint64_t pfn)
{
	return number_of(at, COUNT_WRITABLE, pfn);
}

bool at_is_mapped(const struct alias_tracker *at, uint64_t pfn)
{
	return at->counts_all && frame_is_mapped(&at->frames, COUNT_MAPPED, pfn);
}

uint64_t at_mapping_count(const struct alias_tracker *at, uint64_t pfn)
{
	return number_of(at, COUNT_MAPPED, pfn);
}

struct search {
	uint64_t pfn;
	struct at_transition to;
	struct at_alias *out; /* NULL: only their number is asked for */
	size_t nr, max;
	uint64_t left; /* of those that are counted, wanted or not: not met yet */
};

/* Of a leaf of this level, of this frame, a writable one if that matters. */
static struct pattern pattern_of(uint64_t pfn, unsigned level, bool writable)
{
	uint64_t flags = PTE_P | (writable ? PTE_RW : 0) | (level > 1 ? PTE_PS : 0);
	uint64_t address = PTE_ADDR & ~((1ull << pte_shift(level)) - 1);

	return (struct pattern){
		.mask = address | flags,
		.want = (pfn << PAGE_SHIFT & address) | flags,
	};
}

/* Is this alias in the counts that say when a search is over? */
static bool is_counted(const struct alias_tracker *at, const struct search *s,
		       const struct role *role, unsigned index, uint64_t pte)
{
	unsigned wanted = s->to.to == AT_TO_TABLE ? LEAF_WRITABLE : LEAF_MAPPED;

	return leaf_counts_as(at, role->view, role->level, index, pte) & wanted;
}

/* Is it one of those that are looked for? */
static bool is_wanted(const struct search *s, const struct role *role, uint64_t pte)
{
	return s->to.to != AT_TO_MEMTYPE || pte_type(pte, role->level) != s->to.arg;
}

static void search_report(const struct alias_tracker *at, const struct search *s, struct role *role,
			  unsigned index)
{
	uint64_t pte = copy_get(&role->table->copy, index);
	uint64_t page = s->pfn - pte_pfn(pte, role->level, PTE_LEAF);
	struct path path = role_path(at, role, index);

	s->out[s->nr] = (struct at_alias){
		.va = path.va + (page << PAGE_SHIFT),
		.pte_gpa = (role->table->pfn << PAGE_SHIFT) + index * sizeof(pte),
		.pte = pte,
		.level = role->level,
		.user = path.user,
		.exec = path.exec,
	};
}

static bool is_over(const struct search *s)
{
	return s->nr == s->max || !s->left;
}

static void search_entry(const struct alias_tracker *at, struct search *s, struct role *role,
			 unsigned index, struct pattern pattern)
{
	uint64_t pte = copy_get(&role->table->copy, index);

	if ((pte & pattern.mask) != pattern.want || pte_kind(pte, role->level) != PTE_LEAF ||
	    !is_counted(at, s, role, index, pte))
		return;
	s->left--;
	if (!is_wanted(s, role, pte))
		return;
	if (s->out)
		search_report(at, s, role, index);
	s->nr++;
}

static void search_role(const struct alias_tracker *at, struct search *s, struct role *role,
			struct pattern pattern)
{
	FOREACH_PRESENT (i, &role->table->copy) {
		if (is_over(s))
			return;
		if ((*copy_entry(&role->table->copy, i) & pattern.mask) ==
		    pattern.want) /* at once for most */
			search_entry(at, s, role, (unsigned)i, pattern);
	}
}

static void search_table(const struct alias_tracker *at, struct search *s,
			 const struct table *table, unsigned level)
{
	struct role *role = table->role[level - 1];
	struct pattern pattern;

	if (!role)
		return;
	pattern = pattern_of(s->pfn, level, s->to.to == AT_TO_TABLE);
	if (copy_matches(&table->copy, pattern))
		search_role(at, s, role, pattern);
}

static size_t search_tables(const struct alias_tracker *at, struct search *s)
{
	const struct table *table;

	s->left =
		s->to.to == AT_TO_TABLE ? at_alias_count(at, s->pfn) : at_mapping_count(at, s->pfn);
	TAILQ_FOREACH (table, &at->by_change, by_change) {
		if (is_over(s))
			break;
		for (unsigned level = 1; level <= 3; level++)
			search_table(at, s, table, level);
	}
	return s->nr;
}

/* --- places ----------------------------------------------------------------------------------- */

/* What a frame was to a process is over when it becomes something else. */
static void place_keep(struct alias_tracker *at, uint64_t pte, uint64_t place)
{
	uint64_t pfn = pte_pfn(pte, 1, PTE_LEAF);

	if ((pte & (PTE_P | PTE_US)) == PTE_P && pfn < at->config.frames)
		at->places[pfn] = place;
}

void places_keep_line(struct alias_tracker *at, const struct table *table, unsigned first)
{
	for (unsigned i = first; i < first + LINE_ENTRIES; i++)
		place_keep(at, copy_get(&table->copy, i), table->pfn * PT_ENTRIES + i);
}

void places_keep_table(struct alias_tracker *at, const struct table *table)
{
	FOREACH_PRESENT (i, &table->copy)
		place_keep(at, *copy_entry(&table->copy, i), table->pfn * PT_ENTRIES + i);
}

void places_keep_recorded(struct alias_tracker *at, const struct at_record *records, size_t n)
{
	for (size_t i = 0; i < n; i++)
		place_keep(at, records[i].to, records[i].pte_gpa / sizeof(uint64_t));
}

/* Where one is enough: is it the leaf that was mapped last? */
static bool search_place(const struct alias_tracker *at, struct search *s)
{
	uint64_t place = at->places && s->pfn < at->config.frames ? at->places[s->pfn] : 0;
	struct role *role = place ? role_find(at, place / PT_ENTRIES, 1) : NULL;

	if (role)
		search_entry(at, s, role, place % PT_ENTRIES,
			     pattern_of(s->pfn, 1, s->to.to == AT_TO_TABLE));
	return s->nr > 0;
}

/* --- answers ---------------------------------------------------------------------------------- */

bool is_in_the_way(const struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	struct search s = {.pfn = pfn, .to = to, .max = 1};

	if (to.to == AT_TO_TABLE)
		return at_has_alias(at, pfn);
	return at_is_mapped(at, pfn) && (to.to == AT_TO_BALLOON || search_tables(at, &s));
}

size_t at_in_the_way(struct alias_tracker *at, uint64_t pfn, struct at_transition to,
		     struct at_alias *out, size_t max)
{
	struct search s = {.pfn = pfn, .to = to, .out = out, .max = max};

	return max == 1 && search_place(at, &s) ? 1 : search_tables(at, &s);
}

size_t at_aliases(struct alias_tracker *at, uint64_t pfn, struct at_alias *out, size_t max)
{
	return at_in_the_way(at, pfn, (struct at_transition){.to = AT_TO_TABLE}, out, max);
}

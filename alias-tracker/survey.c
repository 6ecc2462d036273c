/* SPDX-License-Identifier: MIT */
/*
 * What there is to find: aliases of tables, frames that are executable here and writable there,
 * frames with several memory types. The rights of frames tell which have any. For these the leaves
 * are then looked for, in one pass over all tables that ends when all are found. What is found is
 * compared with what the survey before has found.
 */
#include <stdlib.h>
#include <string.h>

#include "survey.h"

#define ALIASES_MAX 64u /* of one table */

/* --- lists of findings ------------------------------------------------------------------------ */

/* Makes room for so many more. */
static bool findings_reserve(struct findings *findings, size_t more)
{
	size_t max = findings->max ? findings->max * 2 : 16;
	struct at_finding *grown;

	if (findings->nr + more <= findings->max)
		return true;
	if (max < findings->nr + more)
		max = findings->nr + more;
	grown = realloc(findings->list, max * sizeof(*grown));
	if (!grown)
		return false;
	findings->list = grown;
	findings->max = max;
	return true;
}

static void findings_free(struct findings *findings)
{
	free(findings->list);
	*findings = (struct findings){0};
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Of an alias its entry matters, too. */
static int findings_order(const void *x, const void *y)
{
	const struct at_finding *a = x, *b = y;
	int by = compare_u64(a->pfn, b->pfn);

	if (!by)
		by = compare_u64(a->kind, b->kind);
	if (!by)
		by = compare_u64(a->frames, b->frames);
	if (!by && a->kind == AT_F_ALIAS)
		by = compare_u64(a->one.pte_gpa, b->one.pte_gpa);
	if (!by && a->kind == AT_F_ALIAS)
		by = compare_u64(a->one.level, b->one.level);
	return by;
}

/* --- what is looked for ----------------------------------------------------------------------- */

/* A mapping that can execute a frame, and one that can write it: of the kernel, and of users. */
struct pair {
	struct at_alias exec[2], write[2];
	bool has_exec[2], has_write[2];
	bool wants_exec[2]; /* there is one, says rights.c */
	bool one_writes[2]; /* exec[] is by a leaf that item.left counts */
	unsigned write_way; /* that is asked for */
};

struct item {
	struct at_finding finding;
	unsigned level; /* of the smallest leaves that can make it one */
	/* Writable mappings outside the exempt windows: how many are to be found. If there are none
	 * all tables are searched; so they are if some are by smaller leaves. */
	uint64_t left;
	struct pair pair;
	bool has_one; /* of memory types */
	size_t next;  /* itself, or if all is found one that comes after it */
};

struct search {
	struct alias_tracker *at;
	struct survey *survey;
	struct item *items; /* by frame; behind the last comes an empty one */
	size_t nr, max, nr_open;
	struct findings found;
	uint64_t dropped;
	bool failed;
};

static struct item *item_add(struct search *s, enum at_finding_kind kind, uint64_t pfn,
			     unsigned level)
{
	uint64_t span = 1ull << (pte_shift(level) - PAGE_SHIFT), left = s->at->config.frames - pfn;
	size_t more = s->max ? s->max * 2 : 64;
	struct item *grown;

	if (s->nr == AT_FINDINGS_MAX) {
		s->dropped++;
		return NULL;
	}
	if (s->nr + 1 >= s->max) {
		grown = realloc(s->items, more * sizeof(*grown));
		s->failed |= !grown;
		if (!grown)
			return NULL;
		s->items = grown;
		s->max = more;
	}
	s->items[s->nr] = (struct item){
		.finding = {.kind = kind, .pfn = pfn, .frames = span < left ? span : left},
		.level = level,
	};
	return &s->items[s->nr++];
}

static void conflict_add(void *ctx, uint64_t pfn, unsigned level, unsigned conflicts,
			 struct frame_rights of)
{
	struct search *s = ctx;
	struct item *item = NULL;

	if (conflicts & CONFLICT_WX)
		item = item_add(s, AT_F_WX, pfn, level);
	if (item) {
		bool exempt = !(of.can & CAN_WRITE);

		item->left = exempt ? UINT64_MAX : at_alias_count(s->at, pfn);
		item->pair.write_way = exempt ? MAY_WRITE : WAY_ALIAS;
		item->pair.wants_exec[0] = of.can & CAN_EXEC_KERNEL;
		item->pair.wants_exec[1] = (of.can & CAN_EXEC_USER) && !exempt;
	}
	if (conflicts & CONFLICT_TYPES)
		item_add(s, AT_F_MEMTYPE, pfn, level);
}

static void aliases_add(struct search *s)
{
	const struct table *table;

	TAILQ_FOREACH (table, &s->at->by_change, by_change) {
		uint64_t nr = at_alias_count(s->at, table->pfn);
		struct item *item = nr ? item_add(s, AT_F_ALIAS, table->pfn, 1) : NULL;

		if (!item)
			continue;
		item->left = nr < ALIASES_MAX ? nr : ALIASES_MAX;
		item->finding.mappings = nr;
	}
}

static int items_order(const void *x, const void *y)
{
	const struct item *a = x, *b = y;

	return findings_order(&a->finding, &b->finding);
}

static void items_find(struct search *s)
{
	aliases_add(s);
	rights_conflicts(&s->survey->rights, conflict_add, s);
	if (s->nr)
		qsort(s->items, s->nr, sizeof(*s->items), items_order);
	for (size_t i = 0; i < s->nr; i++) {
		s->items[i].next = i;
		s->failed |= !rights_set_wanted(&s->survey->rights, s->items[i].finding.pfn);
	}
	if (s->nr)
		s->items[s->nr].next = s->nr;
	s->nr_open = s->nr;
}

/* --- looking for it --------------------------------------------------------------------------- */

/* The first item from i on of which not all is found. */
static size_t open_from(struct search *s, size_t i)
{
	while (s->items[i].next != i) {
		s->items[i].next = s->items[s->items[i].next].next;
		i = s->items[i].next;
	}
	return i;
}

static size_t first_of(const struct search *s, uint64_t pfn)
{
	size_t low = 0, high = s->nr;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->items[middle].finding.pfn < pfn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void found_add(struct search *s, const struct at_finding *finding)
{
	if (s->found.nr == AT_FINDINGS_MAX)
		s->dropped++;
	else if (findings_reserve(&s->found, 1))
		s->found.list[s->found.nr++] = *finding;
	else
		s->failed = true;
}

/* The leaf at this index, where the item's first frame is `page` pages behind the leaf's. */
struct leaf {
	const struct reach *reach;
	unsigned index;
	uint64_t page;
};

static bool leaf_take(const struct search *s, const struct leaf *leaf, unsigned wanted,
		      struct at_alias *out)
{
	if (!reach_leaf(s->at, leaf->reach, leaf->index, wanted, out))
		return false;
	out->va += leaf->page << PAGE_SHIFT;
	return true;
}

static void pair_found(struct search *s, struct item *item, unsigned exec, unsigned write)
{
	const struct pair *pair = &item->pair;
	struct at_finding *f = &item->finding;
	uint64_t nr = at_alias_count(s->at, f->pfn);

	f->one = pair->exec[exec];
	f->other = pair->write[write];
	if (nr)
		f->mappings = nr + !pair->one_writes[exec];
	else
		f->mappings = 1 + (f->one.pte_gpa != f->other.pte_gpa);
	found_add(s, f);
}

/* Takes one of users and one of the kernel, where there are no two of the same. */
static bool pair_close(struct search *s, struct item *item)
{
	const struct pair *pair = &item->pair;

	for (unsigned user = 0; user < 2; user++) {
		if (!pair->has_exec[user] || !pair->has_write[!user])
			continue;
		pair_found(s, item, user, !user);
		return true;
	}
	return false;
}

/* True: it is told, with two mappings of the same rights if there are such. */
static bool pair_take(struct search *s, struct item *item, const struct leaf *leaf)
{
	struct pair *pair = &item->pair;
	struct at_alias any;
	bool writes = leaf_take(s, leaf, WAY_ALIAS, &any);

	item->left -= writes && item->left;
	for (unsigned user = 0; user < 2; user++) {
		unsigned by = user ? MAY_USER : WAY_KERNEL;

		if (pair->wants_exec[user] && !pair->has_exec[user] &&
		    leaf_take(s, leaf, MAY_EXEC | by, &pair->exec[user])) {
			pair->has_exec[user] = true;
			pair->one_writes[user] = writes;
		}
		if (!pair->has_write[user])
			pair->has_write[user] =
				leaf_take(s, leaf, pair->write_way | by, &pair->write[user]);
		if (pair->has_exec[user] && pair->has_write[user]) {
			pair_found(s, item, user, user);
			return true;
		}
	}
	return !item->left && pair->has_exec[0] == pair->wants_exec[0] &&
	       pair->has_exec[1] == pair->wants_exec[1] && pair_close(s, item);
}

/* True: two memory types are found. */
static bool types_take(struct search *s, struct item *item, const struct leaf *leaf)
{
	struct at_finding *f = &item->finding;
	struct at_alias one;

	if (!leaf_take(s, leaf, WAY_ANY, &one))
		return false;
	if (!item->has_one) {
		item->has_one = true;
		f->one = one;
		return false;
	}
	if (pte_type(one.pte, one.level) == pte_type(f->one.pte, f->one.level))
		return false;
	f->other = one;
	f->mappings = 2;
	found_add(s, f);
	return true;
}

/* True: all of it is found. */
static bool item_take(struct search *s, struct item *item, const struct leaf *leaf)
{
	struct at_finding *f = &item->finding;

	switch (f->kind) {
	case AT_F_ALIAS:
		if (!leaf_take(s, leaf, WAY_ALIAS, &f->one))
			return false;
		found_add(s, f);
		return --item->left == 0;
	case AT_F_WX:
		return pair_take(s, item, leaf);
	default:
		return types_take(s, item, leaf);
	}
}

static void leaf_search(struct search *s, const struct reach *reach, unsigned index, uint64_t pte)
{
	unsigned level = reach->role->level;
	uint64_t pfn = pte_pfn(pte, level, PTE_LEAF);
	uint64_t end = pfn + (1ull << (pte_shift(level) - PAGE_SHIFT));
	size_t i;

	if (level == 1 && !rights_is_wanted(&s->survey->rights, pfn))
		return;
	for (i = open_from(s, first_of(s, pfn)); i < s->nr && s->items[i].finding.pfn < end;
	     i = open_from(s, i + 1)) {
		struct leaf leaf = {reach, index, s->items[i].finding.pfn - pfn};

		if (s->items[i].level > level || !item_take(s, &s->items[i], &leaf))
			continue;
		s->items[i].next = i + 1;
		s->nr_open--;
	}
}

/* Each table is searched once. */
static void role_search(struct search *s, struct reach *reach)
{
	unsigned level = reach->role->level;

	if (reach->searched || level > LEAF_LEVELS)
		return;
	reach->searched = true;
	FOREACH_PRESENT (index, &reach->role->table->copy) {
		uint64_t pte = copy_get(&reach->role->table->copy, index);

		if (pte_kind(pte, level) == PTE_LEAF)
			leaf_search(s, reach, index, pte);
	}
}

/* The table in which the leaf was by the survey before. */
static void table_search(struct search *s, const struct reaches *reaches,
			 const struct at_alias *leaf)
{
	const struct role *role = role_find(s->at, leaf->pte_gpa >> PAGE_SHIFT, leaf->level);

	if (role && role->reach)
		role_search(s, &reaches->reach[role->reach - 1]);
}

/* First where something was found before: few tables hold most of it. Then from the top, so that
 * large leaves come first, of which one makes many aliases; and tables that have not changed for
 * long before others, since those of the kernel's own mappings hardly ever do. */
static bool leaves_search(struct search *s, const struct reaches *reaches)
{
	const struct findings *held = &s->survey->held;

	for (size_t i = 0; i < held->nr && s->nr_open; i++) {
		if (wants_stop(s->at))
			return false;
		table_search(s, reaches, &held->list[i].one);
		if (held->list[i].kind != AT_F_ALIAS)
			table_search(s, reaches, &held->list[i].other);
	}
	for (size_t i = 0; i < reaches->nr && s->nr_open; i++) {
		if (wants_stop(s->at))
			return false;
		role_search(s, &reaches->reach[i]);
	}
	return true;
}

/* What is open still when all tables were searched. */
static void items_close(struct search *s)
{
	for (size_t i = open_from(s, 0); i < s->nr; i = open_from(s, i + 1))
		if (s->items[i].finding.kind == AT_F_WX)
			pair_close(s, &s->items[i]);
}

/* --- what is new, and what is gone ------------------------------------------------------------ */

/* What is taken leaves room. False: there is none for so many more. */
static bool events_reserve(struct survey *survey, size_t more)
{
	size_t nr = survey->events.nr - survey->first;

	if (survey->first)
		memmove(survey->events.list, survey->events.list + survey->first,
			nr * sizeof(*survey->events.list));
	survey->events.nr = nr;
	survey->first = 0;
	return findings_reserve(&survey->events,
				more < AT_FINDINGS_MAX - nr ? more : AT_FINDINGS_MAX - nr);
}

static void event_add(struct survey *survey, const struct at_finding *finding, bool gone)
{
	if (survey->events.nr == AT_FINDINGS_MAX) {
		survey->dropped++;
		return;
	}
	survey->events.list[survey->events.nr] = *finding;
	survey->events.list[survey->events.nr++].gone = gone;
}

/* The number of findings that came or went; if `tell`, they become events. */
static size_t events_find(struct survey *survey, const struct findings *found, bool tell)
{
	const struct findings *held = &survey->held;
	size_t i = 0, j = 0, nr = 0;

	while (i < held->nr || j < found->nr) {
		int by = i == held->nr    ? 1
			 : j == found->nr ? -1
					  : findings_order(&held->list[i], &found->list[j]);

		nr += by != 0;
		if (by && tell)
			event_add(survey, by < 0 ? &held->list[i] : &found->list[j], by < 0);
		i += by <= 0;
		j += by >= 0;
	}
	return nr;
}

static bool findings_take(struct survey *survey, struct findings *found)
{
	if (found->nr)
		qsort(found->list, found->nr, sizeof(*found->list), findings_order);
	if (!events_reserve(survey, events_find(survey, found, false)))
		return false;
	events_find(survey, found, true);
	findings_free(&survey->held);
	survey->held = *found;
	return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool survey_find(struct search *s)
{
	struct reaches reaches;
	bool ok = reach_find(s->at, &reaches) &&
		  rights_find_conflicting(s->at, &s->survey->rights, &reaches);

	if (ok)
		items_find(s);
	ok = ok && !s->failed && leaves_search(s, &reaches);
	if (ok && s->nr_open)
		items_close(s);
	ok = ok && !s->failed;
	rights_free(&s->survey->uses);
	free(reaches.reach);
	free(s->items);
	return ok;
}

/* Goes up with whatever can change what a survey finds. */
static uint64_t survey_changes(const struct alias_tracker *at)
{
	return at->entries_changed + at->roots_changed;
}

bool at_survey(struct alias_tracker *at)
{
	struct survey *survey = at->survey;
	struct search s = {.at = at};

	if (at->failed || at->config.mode == AT_BLIND)
		return false;
	if (!survey)
		survey = at->survey = calloc(1, sizeof(*survey));
	if (!survey)
		return false;
	if (survey->done && survey->changes == survey_changes(at))
		return true;
	s.survey = survey;
	survey->done = survey_find(&s) && findings_take(survey, &s.found);
	if (!survey->done) {
		findings_free(&s.found);
		return false;
	}
	survey->changes = survey_changes(at);
	survey->dropped += s.dropped;
	return true;
}

bool at_next_finding(struct alias_tracker *at, struct at_finding *out)
{
	struct survey *survey = at->survey;

	if (!survey || survey->first == survey->events.nr)
		return false;
	*out = survey->events.list[survey->first++];
	if (survey->first == survey->events.nr) {
		findings_free(&survey->events);
		survey->first = 0;
	}
	return true;
}

bool at_for_each_finding(const struct alias_tracker *at,
			 bool (*fn)(void *ctx, const struct at_finding *finding), void *ctx)
{
	const struct survey *survey = at->survey;

	for (size_t i = 0; survey && i < survey->held.nr; i++)
		if (!fn(ctx, &survey->held.list[i]))
			return false;
	return true;
}

uint64_t at_executable(const struct alias_tracker *at, uint64_t pfn, uint64_t nr)
{
	const struct survey *survey = at->survey;
	uint64_t end = nr < UINT64_MAX - pfn ? pfn + nr : UINT64_MAX;

	return survey && survey->done ? rights_executable(&survey->rights, pfn, end) : 0;
}

/* Finds out the rights of frames that no survey asks for, unless they are known. */
static bool uses_find(struct alias_tracker *at, struct survey *survey)
{
	struct reaches reaches;
	bool ok;

	if (survey->uses.gib)
		return true;
	if (at->failed)
		return false;
	ok = reach_find(at, &reaches) && rights_find(at, &survey->uses, &reaches);
	free(reaches.reach);
	return ok;
}

struct at_uses at_uses(struct alias_tracker *at, uint64_t pfn)
{
	struct frame_rights of = {0};

	if (at->survey && pfn < at->config.frames && uses_find(at, at->survey))
		of = rights_of(&at->survey->uses, pfn);
	return (struct at_uses){
		.kernel_exec = of.can & CAN_EXEC_KERNEL,
		.user_exec = of.can & CAN_EXEC_USER,
		.writable = of.can & CAN_WRITE,
		.exempt_writable = (of.can & (CAN_WRITE | CAN_WRITE_EXEMPT)) == CAN_WRITE_EXEMPT,
		.memtypes = of.types,
	};
}

void survey_free(struct survey *survey)
{
	if (!survey)
		return;
	rights_free(&survey->rights);
	rights_free(&survey->uses);
	findings_free(&survey->held);
	findings_free(&survey->events);
	free(survey);
}

size_t survey_bytes(const struct survey *survey)
{
	if (!survey)
		return 0;
	return sizeof(*survey) + survey->rights.bytes + survey->uses.bytes +
	       (survey->held.max + survey->events.max) * sizeof(*survey->held.list);
}

uint64_t survey_dropped(const struct survey *survey)
{
	return survey ? survey->dropped : 0;
}

const char *at_finding_name(enum at_finding_kind kind)
{
	switch (kind) {
	case AT_F_ALIAS:
		return "writable mapping of a page table";
	case AT_F_WX:
		return "executable by one mapping, writable by another";
	case AT_F_MEMTYPE:
		return "mapped with several memory types";
	}
	return "unknown finding";
}

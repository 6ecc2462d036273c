/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "alias_tracker.h"
#include "entry.h"
#include "low_map.h"
#include "room.h"

struct audit {
	struct physmem *mem;
	struct alias_tracker *at; /* NULL: made by the next look */
	/* What the tracker was made for. */
	struct window direct_map;
	unsigned levels;
	struct roots *roots, *earlier; /* of this look, of the one before: these two */
	struct roots two[2];
	uint64_t rolled; /* looks that roll have scanned up to this frame */
	struct windows windows;
	size_t nr_low;
	struct low_map low[LOW_MAPS_MAX];
	uint64_t *followed; /* ascending */
	size_t nr_followed;
	struct at_table *tables; /* by the last look, ascending */
	size_t nr_tables;
	uint64_t changes; /* of entries that the tracker had seen then; 0: unknown */
};

/* The tracker loads each entry once, and judges what it has loaded. */
static const uint64_t *table_of(void *ctx, uint64_t pfn)
{
	return physmem_frame(ctx, pfn);
}

static const struct at_ops tracker_ops = {.table = table_of};

struct audit *audit_new(struct physmem *mem)
{
	struct audit *audit = calloc(1, sizeof(*audit));

	if (!audit)
		return NULL;
	audit->mem = mem;
	audit->roots = &audit->two[0];
	audit->earlier = &audit->two[1];
	return audit;
}

static void drop_tracker(struct audit *audit)
{
	at_free(audit->at);
	audit->at = NULL;
	free(audit->followed);
	audit->followed = NULL;
	audit->nr_followed = 0;
	free(audit->tables);
	audit->tables = NULL;
	audit->nr_tables = 0;
	audit->changes = 0;
}

/* Nothing of an earlier look is true any more. */
static void forget_look(struct audit *audit)
{
	drop_tracker(audit);
	audit->windows = (struct windows){0};
	audit->nr_low = 0;
}

void audit_free(struct audit *audit)
{
	if (!audit)
		return;
	drop_tracker(audit);
	roots_free(audit->roots);
	roots_free(audit->earlier);
	free(audit);
}

/* Scans the next frames. Of the others those count that the look before has found. */
static int roll_on(struct audit *audit, uint64_t nr, struct notes *notes)
{
	uint64_t from = audit->rolled < audit->mem->frames ? audit->rolled : 0;
	uint64_t left = audit->mem->frames - from, to = from + (nr < left ? nr : left);
	int error = roots_keep(audit->roots, audit->mem, audit->earlier, from, to);

	audit->rolled = to;
	return error ? error : roots_scan(audit->roots, audit->mem, from, to, notes);
}

/* Sets *whole: it is a look at everything. */
static int find_roots(struct audit *audit, const struct look *look, struct notes *notes,
		      bool *whole)
{
	struct roots *roots = audit->earlier;
	int error;

	audit->earlier = audit->roots;
	audit->roots = roots;
	error = roots_from_cpus(roots, audit->mem, look->cpus, look->nr_cpus, notes);
	for (size_t i = 0; !error && i < look->nr_given; i++)
		error = roots_add_given(roots, audit->mem, look->given[i].gpa,
					look->given[i].levels, notes);
	*whole = !look->roll || !audit->at || !roots_look_alike(roots, audit->earlier);
	if (!error && *whole)
		error = roots_scan(roots, audit->mem, 0, audit->mem->frames, notes);
	else if (!error)
		error = roll_on(audit, look->roll, notes);
	if (!error && !roots->nr)
		note(notes, "no root of a 64-bit kernel was found%s",
		     look->nr_cpus ? "" : ": no CR3 of a vCPU is known");
	return error;
}

static bool same_window(const struct window *a, const struct window *b)
{
	return a->found == b->found && a->base == b->base && a->size == b->size;
}

static bool add_window(struct alias_tracker *at, const char *name, const struct window *window,
		       bool exempt)
{
	return !window->found || at_add_window(at, &(struct at_window){.name = name,
								       .base = window->base,
								       .size = window->size,
								       .gpa = window->gpa,
								       .exempt = exempt});
}

/* Makes the tracker, or keeps it if it is for what was found. */
static int make_tracker(struct audit *audit, struct notes *notes)
{
	struct at_config config = {.frames = audit->mem->frames,
				   .levels = audit->roots->levels,
				   .mode = AT_SCAN,
				   .ops = &tracker_ops,
				   .ctx = audit->mem};
	const struct window *direct = &audit->windows.direct_map;

	if (audit->at && same_window(direct, &audit->direct_map) &&
	    audit->levels == audit->roots->levels)
		return 0;
	drop_tracker(audit);
	if (getrandom(&config.seed, sizeof(config.seed), GRND_NONBLOCK) < 0)
		config.seed = 0;
	audit->at = at_new(&config);
	if (!audit->at)
		return -ENOMEM;
	audit->direct_map = *direct;
	audit->levels = audit->roots->levels;
	if (!add_window(audit->at, "direct map", direct, true))
		note(notes, "the direct map at 0x%" PRIx64 " could not be exempt", direct->base);
	return 0;
}

static int compare_pfns(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static int follow_root(struct audit *audit, uint64_t pfn, struct notes *notes)
{
	enum at_verdict verdict;

	if (at_is_followed(audit->at, pfn))
		return 0;
	verdict = at_follow(audit->at, pfn);
	audit->changes = 0;
	if (verdict == AT_NO_MEMORY)
		return -ENOMEM;
	if (verdict != AT_OK)
		note(notes, "the root in frame 0x%" PRIx64 " was not followed: %s", pfn,
		     at_verdict_name(verdict));
	return 0;
}

/* The roots that are to be followed, ascending. Returns how many. */
static size_t roots_to_follow(const struct roots *roots, uint64_t *pfns)
{
	size_t nr = 0;

	for (size_t i = 0; i < roots->nr; i++)
		if (!roots->root[i].maps_low)
			pfns[nr++] = roots->root[i].pfn;
	qsort(pfns, nr, sizeof(*pfns), compare_pfns);
	return nr;
}

/* Unfollows the roots that are gone, and follows those that are new. */
static int follow_roots(struct audit *audit, struct notes *notes)
{
	const struct roots *roots = audit->roots;
	uint64_t *now = malloc((roots->nr ? roots->nr : 1) * sizeof(*now));
	size_t nr;
	int error = 0;

	if (!now)
		return -ENOMEM;
	nr = roots_to_follow(roots, now);
	for (size_t i = 0; i < audit->nr_followed; i++) {
		if (bsearch(&audit->followed[i], now, nr, sizeof(*now), compare_pfns))
			continue;
		at_unfollow(audit->at, audit->followed[i]);
		audit->changes = 0;
	}
	free(audit->followed);
	audit->followed = now;
	audit->nr_followed = nr;
	if (!at_sync(audit->at))
		return -ENOMEM;
	for (size_t i = 0; !error && i < nr; i++)
		error = follow_root(audit, now[i], notes);
	return error;
}

/* --- what the tracker knows ------------------------------------------------------------------- */

struct collect {
	struct audit *audit;
	struct findings *findings;
	struct at_table *tables;
	size_t nr;
	int error;
};

static bool take_table(void *ctx, const struct at_table *table)
{
	struct collect *collect = ctx;
	struct at_table *tables = room_for_one(collect->tables, collect->nr, sizeof(*tables));

	if (!tables)
		return false;
	collect->tables = tables;
	collect->tables[collect->nr++] = *table;
	return true;
}

static struct mapping mapping_of(const struct audit *audit, const struct at_alias *alias)
{
	return (struct mapping){
		.va = alias->va,
		.pte_gpa = alias->pte_gpa,
		.pte = alias->pte,
		.level = alias->level,
		.writable = alias->pte & PTE_RW,
		.user = alias->user,
		.exec = alias->exec,
		.memtype = (uint8_t)pte_type(alias->pte, alias->level),
		.place = windows_place(&audit->windows, alias->va, alias->user),
	};
}

static void count_table(struct findings *findings, const struct at_table *table)
{
	findings->tables++;
	for (unsigned level = 1; level <= LEVELS_MAX; level++)
		findings->walked[level] += table->levels >> (level - 1) & 1;
}

static int compare_tables(const void *a, const void *b)
{
	const struct at_table *one = a, *other = b;

	return (one->pfn > other->pfn) - (one->pfn < other->pfn);
}

/* A table's aliases come one after the other: the first makes a finding, the others join it. */
static void take_alias(struct collect *collect, const struct at_finding *found)
{
	struct findings *findings = collect->findings;
	struct finding *last = findings->nr ? &findings->all[findings->nr - 1] : NULL;
	struct finding finding = {
		.kind = FINDING_TABLE, .pfn = found->pfn, .frames = 1, .nr_at = 1};
	const struct at_table key = {.pfn = found->pfn}, *table;

	if (last && last->kind == FINDING_TABLE && last->pfn == found->pfn) {
		if (last->nr_at < FINDING_MAPPINGS)
			last->at[last->nr_at++] = mapping_of(collect->audit, &found->one);
		return;
	}
	table = bsearch(&key, collect->tables, collect->nr, sizeof(key), compare_tables);
	finding.levels = table ? (uint8_t)(table->levels << 1) : 0;
	finding.nr = found->mappings;
	finding.at[0] = mapping_of(collect->audit, &found->one);
	collect->error = findings_add(findings, &finding);
}

static void take_pair(struct collect *collect, const struct at_finding *found)
{
	struct finding finding = {
		.kind = found->kind == AT_F_WX ? FINDING_WX : FINDING_MEMTYPE,
		.pfn = found->pfn,
		.frames = found->frames,
		.nr = found->mappings,
		.nr_at = 2,
		.at = {mapping_of(collect->audit, &found->one),
		       mapping_of(collect->audit, &found->other)},
	};

	collect->error = findings_add(collect->findings, &finding);
}

static bool take_alias_finding(void *ctx, const struct at_finding *found)
{
	struct collect *collect = ctx;

	if (found->kind == AT_F_ALIAS)
		take_alias(collect, found);
	return !collect->error;
}

static bool take_pair_finding(void *ctx, const struct at_finding *found)
{
	struct collect *collect = ctx;

	if (found->kind == AT_F_WX || found->kind == AT_F_MEMTYPE)
		take_pair(collect, found);
	return !collect->error;
}

/* The tables that are walked now. */
static int collect_tables(struct audit *audit, struct findings *findings)
{
	struct collect collect = {.audit = audit};
	struct at_stats stats;

	at_get_stats(audit->at, &stats);
	if (audit->changes != stats.entries_changed + 1) {
		bool ok = at_for_each_table(audit->at, take_table, &collect);

		if (collect.nr)
			qsort(collect.tables, collect.nr, sizeof(*collect.tables), compare_tables);
		free(audit->tables);
		audit->tables = collect.tables;
		audit->nr_tables = collect.nr;
		if (!ok)
			return -ENOMEM;
		audit->changes = stats.entries_changed + 1;
	}
	for (size_t i = 0; i < audit->nr_tables; i++)
		count_table(findings, &audit->tables[i]);
	return 0;
}

static int describe_low_maps(struct audit *audit)
{
	const struct roots *roots = audit->roots;
	size_t nr = audit->nr_tables;
	uint64_t *pfns = malloc((nr ? nr : 1) * sizeof(*pfns));
	int error = pfns ? 0 : -ENOMEM;

	audit->nr_low = 0;
	for (size_t i = 0; !error && i < nr; i++)
		pfns[i] = audit->tables[i].pfn;
	for (size_t i = 0; !error && i < roots->nr; i++) {
		if (!roots->root[i].maps_low)
			continue;
		if (audit->nr_low < LOW_MAPS_MAX)
			error = low_map_describe(&audit->low[audit->nr_low], audit->mem,
						 roots->root[i].pfn, roots->levels, pfns, nr);
		audit->nr_low++;
	}
	free(pfns);
	return error;
}

/* Has the tracker take stock, and takes its findings. Returns 0, or -ENOMEM. */
static int take_survey(struct audit *audit, struct findings *findings)
{
	struct collect collect = {.audit = audit,
				  .findings = findings,
				  .tables = audit->tables,
				  .nr = audit->nr_tables};
	struct at_finding event;

	if (!at_survey(audit->at))
		return -ENOMEM;
	while (at_next_finding(audit->at, &event))
		; /* reports compare looks by themselves */
	at_for_each_finding(audit->at, take_alias_finding, &collect);
	if (!collect.error)
		at_for_each_finding(audit->at, take_pair_finding, &collect);
	findings_sort(findings);
	return collect.error;
}

size_t audit_nr_tables(const struct audit *audit)
{
	return audit->nr_tables;
}

uint64_t audit_table(const struct audit *audit, size_t index)
{
	return audit->tables[index].pfn;
}

bool audit_is_executable(const struct audit *audit, uint64_t pfn)
{
	return audit->at && at_executable(audit->at, pfn, 1);
}

static void describe_look(const struct audit *audit, const struct look *look,
			  struct findings *findings)
{
	struct at_stats stats;

	findings->cpus = look->nr_cpus;
	findings->memory = audit->mem->size;
	findings->levels = audit->roots->levels;
	findings->isolated = audit->roots->isolated;
	findings->windows = audit->windows;
	findings->nr_low = audit->nr_low;
	memcpy(findings->low, audit->low, sizeof(findings->low));
	for (size_t i = 0; i < audit->roots->nr; i++)
		findings->roots[audit->roots->root[i].kind]++;
	if (audit->mem->unreadable)
		note(&findings->notes,
		     "%" PRIu64 " frames could not be read, and were taken for zeros",
		     audit->mem->unreadable);
	if (audit->at) {
		at_get_stats(audit->at, &stats);
		for (size_t i = 0; i < audit->mem->nr_ranges; i++)
			findings->executable +=
				at_executable(audit->at, audit->mem->ranges[i].gpa >> FRAME_SHIFT,
					      audit->mem->ranges[i].size >> FRAME_SHIFT);
		findings->tracker_bytes = stats.memory_bytes;
		if (stats.findings_dropped)
			note(&findings->notes,
			     "there are more than %u findings, and %" PRIu64
			     " of them or of their changes are not told",
			     AT_FINDINGS_MAX, stats.findings_dropped);
	}
}

/* Reads all that is to be read of the guest's memory. */
static int read_guest(struct audit *audit, const struct look *look, struct findings *findings)
{
	struct notes *notes = &findings->notes;
	bool whole;
	int error;

	physmem_refresh(audit->mem);
	error = find_roots(audit, look, notes, &whole);
	if (!error && !audit->roots->nr)
		forget_look(audit);
	if (error || !audit->roots->nr)
		return error;
	if (whole) {
		error = windows_find(&audit->windows, audit->mem, audit->roots->kernel_root,
				     audit->roots->levels, notes);
		error = error ? error : make_tracker(audit, notes);
	}
	error = error ? error : follow_roots(audit, notes);
	error = error ? error : collect_tables(audit, findings);
	if (!error && whole)
		error = describe_low_maps(audit);
	return error ? error : audit->mem->exhausted ? -ENOMEM : 0;
}

int audit_look(struct audit *audit, const struct look *look, struct findings *findings)
{
	int error;

	findings_clear(findings);
	error = read_guest(audit, look, findings);
	if (look->has_read)
		look->has_read(look->ctx);
	if (!error && audit->roots->nr)
		error = take_survey(audit, findings);
	if (error)
		drop_tracker(audit);
	else
		describe_look(audit, look, findings);
	return error;
}

/* SPDX-License-Identifier: MIT */
/*
 * Hot tables are compared at every sync. A table that has not changed for `backoff` syncs is armed
 * and cold: it is left alone until it is dirtied.
 *
 * quiet_syncs is the cost of arming a table and being told that it was dirtied, in compares. To arm
 * after so many syncs without a change costs at most twice what the best choice would have. A table
 * that was cold for longer than that before it was dirtied is armed again at once.
 */
#include "internal.h"
#include "plain.h"

#define BACKOFF_MAX  (1u << 16) /* by doubling; a configured one may be larger */
#define DIRTIED_MAX  64u
#define QUIET_AUDITS 4 /* quiet syncs that one in which an audit found it quiet is worth */

static bool can_arm(const struct alias_tracker *at)
{
	return at->config.mode != AT_SCAN && at->ops.arm;
}

static void backoff_more(struct table *table)
{
	if (!table->backoff)
		table->backoff = 1;
	else if (table->backoff <= BACKOFF_MAX / 2)
		table->backoff *= 2;
}

/* What so many syncs are in compares, which is not more: where only audits compare, arming must
 * save some of those. */
static uint64_t in_compares(const struct alias_tracker *at, uint64_t syncs)
{
	if (at->config.mode != AT_LOGGED || at->config.audit_syncs <= QUIET_AUDITS)
		return syncs;
	return syncs * QUIET_AUDITS / at->config.audit_syncs;
}

/* --- comparing -------------------------------------------------------------------------------- */

/* The table has just been found changed. */
static void note_change(struct alias_tracker *at, struct table *table, unsigned nr_changed)
{
	at->tables_changed++;
	at->entries_changed += nr_changed;
	TAILQ_REMOVE(&at->by_change, table, by_change);
	TAILQ_INSERT_HEAD(&at->by_change, table, by_change);
	table->quiet_since = at->syncs;
	if (table->backoff > at->config.quiet_syncs)
		table->backoff = at->config.quiet_syncs;
}

/* Brings these lines of entries up to date. Most that change are of plain tables. Returns how many
 * have changed; sets *ok to false if some could not be followed. */
static unsigned lines_update(struct alias_tracker *at, struct table *table, const uint64_t *entries,
			     uint64_t lines, bool *ok)
{
	bool plain = is_plain(at, table); /* nothing that its entries do can change that */
	bool judged = at->config.mode == AT_LOGGED && log_judges(at, table);
	unsigned nr_changed = 0;

	for (; lines; lines &= lines - 1) {
		unsigned first = (unsigned)__builtin_ctzll(lines) * LINE_ENTRIES;
		uint64_t *entry; /* stays where it is: nothing more is stored meanwhile */

		if (!copy_store(&table->copy, first, &at->copy_bytes)) {
			*ok = false;
			continue;
		}
		entry = copy_entry(&table->copy, first);
		for (unsigned index = first; index < first + LINE_ENTRIES; index++, entry++) {
			uint64_t was = *entry, now = pte_load(&entries[index]);

			if (now == was)
				continue;
			if (!(plain ? plain_update(at, table, index, entry, now)
				    : table_update(at, table, index, now))) {
				*ok = false;
				continue;
			}
			nr_changed += pte_differs(was, now);
			if (judged)
				log_note_change(at, table, index, was, now);
		}
		if (at->places && table->role[0])
			places_keep_line(at, table, first);
	}
	return nr_changed;
}

enum outcome { SAME, CHANGED, FAILED };

/* Brings what differs up to date. */
__attribute__((noinline)) static enum outcome
table_catch_up(struct alias_tracker *at, struct table *table, const uint64_t *entries)
{
	bool ok = true;
	unsigned nr_changed =
		lines_update(at, table, entries, copy_lines_differ(&table->copy, entries), &ok);

	if (nr_changed)
		note_change(at, table, nr_changed);
	if (!ok)
		return FAILED;
	return nr_changed ? CHANGED : SAME;
}

/* Brings the copy and the graph up to date with the table. FAILED if out of memory; entries that
 * could not be followed keep their old value, so that they differ again next time. Most tables have
 * not changed: that is what has to be quick. */
static inline enum outcome table_compare(struct alias_tracker *at, struct table *table)
{
	const uint64_t *entries = at->ops.table(at->config.ctx, table->pfn);

	if (!entries)
		return FAILED; /* memory that was there is gone: nothing can be said */
	at->tables_compared++;
	return copy_differs(&table->copy, entries) ? table_catch_up(at, table, entries) : SAME;
}

static bool table_arm(struct alias_tracker *at, struct table *table)
{
	table->quiet_since = at->syncs;
	if (!at->ops.arm(at->config.ctx, table->pfn)) {
		backoff_more(table);
		return false;
	}
	hot_remove(at, table);
	table->armed = true;
	at->arms++;
	return true;
}

/* Compares a table that has just been armed: what was written until then is seen here, what is
 * written later dirties it. */
static bool armed_compare(struct alias_tracker *at, struct table *table)
{
	if (table_compare(at, table) != FAILED)
		return true;
	at->ops.disarm(at->config.ctx, table->pfn);
	table->armed = false;
	hot_insert(at, table);
	return false;
}

/* It was dirtied since it was armed. */
static bool dirtied_sync(struct alias_tracker *at, struct table *table)
{
	enum outcome outcome;

	table->dirtied = false;
	if (!table->backoff && table_arm(at, table))
		return armed_compare(at, table);
	outcome = table_compare(at, table);
	if (outcome == SAME)
		backoff_more(table);
	return outcome != FAILED;
}

/* It may not have changed for long. */
__attribute__((noinline)) static bool quiet_sync(struct alias_tracker *at, struct table *table,
						 uint64_t syncs)
{
	if (in_compares(at, syncs) < table->backoff || !can_arm(at))
		return true;
	return !table_arm(at, table) || armed_compare(at, table);
}

/* `syncs` after there was a reason to keep it hot. */
static inline bool table_sync(struct alias_tracker *at, struct table *table, uint64_t syncs)
{
	enum outcome outcome;

	if (table->dirtied)
		return dirtied_sync(at, table);
	outcome = table_compare(at, table);
	if (outcome != SAME)
		return outcome == CHANGED;
	return syncs < table->backoff || quiet_sync(at, table, syncs);
}

/* --- waking ----------------------------------------------------------------------------------- */

static void table_dirtied(struct alias_tracker *at, struct table *table)
{
	if (!table->armed)
		return;
	if (in_compares(at, at->syncs - table->quiet_since) > at->config.quiet_syncs)
		table->backoff = 0;
	else if (!table->backoff)
		table->backoff = at->config.quiet_syncs;
	table->armed = false;
	table->dirtied = true;
	table->quiet_since = at->syncs - 1;
	hot_insert(at, table);
	at->dirtied++;
}

/* Cold tables are far away in memory: what will be needed of all of them is fetched at once. */
static void take_some_dirtied(struct alias_tracker *at, const uint64_t *pfns, size_t n)
{
	struct table *tables[DIRTIED_MAX];

	for (size_t i = 0; i < n; i++) {
		tables[i] = table_find(at, pfns[i]);
		if (!tables[i])
			continue;
		for (size_t byte = 0; byte < sizeof(struct table); byte += 64)
			__builtin_prefetch((char *)tables[i] + byte);
	}
	for (size_t i = 0; i < n; i++) {
		if (!tables[i])
			continue;
		__builtin_prefetch(TAILQ_NEXT(tables[i], by_change));
	}
	for (size_t i = 0; i < n; i++)
		if (tables[i])
			table_dirtied(at, tables[i]);
}

static void take_dirtied(struct alias_tracker *at)
{
	uint64_t pfns[DIRTIED_MAX];
	size_t n;

	do {
		n = at->ops.dirtied(at->config.ctx, pfns, DIRTIED_MAX);
		take_some_dirtied(at, pfns, n);
	} while (n == DIRTIED_MAX);
}

/* A table that is new in this sync has just been read. None goes meanwhile, and none but the table
 * itself, when it is armed, leaves the list. */
static bool level_compare(struct alias_tracker *at, unsigned level)
{
	struct table *table, *next;
	uint64_t syncs;
	bool ok = true;

	for (table = TAILQ_FIRST(&at->hot[level - 1]); table; table = next) {
		if (wants_stop(at))
			return false;
		syncs = at->syncs - table->quiet_since;
		next = TAILQ_NEXT(table, hot);
		if (syncs && !table_sync(at, table, syncs))
			ok = false;
	}
	return ok;
}

bool tables_compare(struct alias_tracker *at)
{
	bool ok = true;

	if (can_arm(at))
		take_dirtied(at);
	/* From the top, so that what has been unlinked is gone before it is looked at. */
	for (unsigned level = at->levels; level >= 1; level--) {
		ok = roles_update(at, level) && ok;
		ok = level_compare(at, level) && ok;
	}
	return roles_update(at, 1) && ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * A sync by the guest's log, which says where entries have changed. What they are is read from
 * memory; if the log says something else, that is a mismatch (mismatch.c).
 */
#include "internal.h"
#include "plain.h"

/* --- what the log says ------------------------------------------------------------------------ */

/* The table of the last record: most records come in runs of one table. Tables go only by
 * roles_update(), after all records are taken. */
struct log_cursor {
	struct table *table; /* NULL: none yet */
	const uint64_t *entries;
	uint64_t gpa;        /* of the table */
	bool plain;          /* it is, and has entries: nothing that they do can change that */
	unsigned nr_changed; /* entries of it, since the cursor came to it */
	unsigned group;      /* of the last record, if plain; GROUPS: none yet */
	uint64_t *copied;    /* the entries of that group in the table's copy */
};

/* The table's entries were found changed by records. */
static void cursor_leave(struct alias_tracker *at, struct log_cursor *cursor)
{
	struct table *table = cursor->table;

	if (!cursor->nr_changed)
		return;
	at->entries_changed += cursor->nr_changed;
	cursor->nr_changed = 0;
	if (table != TAILQ_FIRST(&at->by_change)) {
		TAILQ_REMOVE(&at->by_change, table, by_change);
		TAILQ_INSERT_HEAD(&at->by_change, table, by_change);
	}
	/* Not of this sync: an audit compares it all the same. */
	table->quiet_since = at->syncs - 1;
	if (table->backoff > at->config.quiet_syncs)
		table->backoff = at->config.quiet_syncs;
}

/* Moves it to the table of that entry. False if that is not followed. */
static bool cursor_move(struct alias_tracker *at, struct log_cursor *cursor, uint64_t gpa)
{
	struct table *table = entry_table(at, gpa);

	if (!table)
		return false;
	cursor_leave(at, cursor);
	cursor->table = table;
	cursor->entries = frame_entries(at, table->pfn);
	cursor->gpa = table->pfn << PAGE_SHIFT;
	cursor->plain = cursor->entries && is_plain(at, table);
	cursor->group = GROUPS;
	return true;
}

/* The same, where for most it is there already. */
static inline bool cursor_goes(struct alias_tracker *at, struct log_cursor *cursor, uint64_t gpa)
{
	if (cursor->table && !((gpa - cursor->gpa) & ~(PT_ENTRIES * sizeof(gpa) - sizeof(gpa))))
		return true;
	return cursor_move(at, cursor, gpa);
}

static inline bool says_so(const struct at_record *record, uint64_t was, uint64_t now)
{
	return !(((was ^ record->from) | (now ^ record->to)) & ~PTE_NOISE);
}

/* Takes an entry of the cursor's table, by a record if there is one. False: it could not be
 * followed. */
static bool take_entry(struct alias_tracker *at, struct log_cursor *cursor, unsigned index,
		       const struct at_record *record)
{
	struct table *table = cursor->table;
	uint64_t was, now;

	if (!cursor->entries)
		return false;
	was = copy_get(&table->copy, index);
	now = pte_load(&cursor->entries[index]);
	if (!table_update(at, table, index, now))
		return false;
	cursor->nr_changed += pte_differs(was, now);
	if (!record || !says_so(record, was, now))
		log_note_step(at, table, index, was, now, record);
	return true;
}

/* Takes the entries that are named: they claim nothing. */
static bool take_named(struct alias_tracker *at, struct log_cursor *cursor,
		       const struct at_log_state *state)
{
	bool ok = true;

	for (size_t i = 0; i < state->nr_changing; i++)
		if (cursor_goes(at, cursor, state->changing[i]))
			ok = take_entry(at, cursor, entry_index(state->changing[i]), NULL) && ok;
	return ok;
}

/* Moves it to a group of its table, which is plain. False if out of memory. */
__attribute__((noinline)) static bool cursor_enter(struct alias_tracker *at,
						   struct log_cursor *cursor, unsigned group)
{
	struct copy *copy = &cursor->table->copy;

	if (!copy_store(copy, group * GROUP_ENTRIES, &at->copy_bytes))
		return false;
	cursor->group = group;
	cursor->copied = copy_entry(copy, group * GROUP_ENTRIES);
	return true;
}

/* take_entry(), straight on for most: entries of plain tables, whose records are right. */
static inline bool take_record(struct alias_tracker *at, struct log_cursor *cursor,
			       const struct at_record *record)
{
	struct table *table = cursor->table;
	unsigned index = entry_index(record->pte_gpa);
	uint64_t *entry, was, now;

	if (!cursor->plain)
		return take_entry(at, cursor, index, record);
	if (index / GROUP_ENTRIES != cursor->group &&
	    !cursor_enter(at, cursor, index / GROUP_ENTRIES))
		return false;
	entry = &cursor->copied[index % GROUP_ENTRIES];
	was = *entry;
	now = pte_load(&cursor->entries[index]);
	if (!plain_update(at, table, index, entry, now))
		return false;
	cursor->nr_changed += pte_differs(was, now);
	if (!says_so(record, was, now))
		log_note_step(at, table, index, was, now, record);
	return true;
}

static bool take_some(struct alias_tracker *at, struct log_cursor *cursor,
		      const struct at_record *records, size_t n)
{
	bool ok = true;

	for (const struct at_record *record = records; record < records + n; record++) {
		if (!cursor_goes(at, cursor, record->pte_gpa))
			at->log.strays++;
		else if (!take_record(at, cursor, record))
			ok = false;
	}
	return ok;
}

/* In the order of the log, so that a table that one record links is there for the next. What comes
 * too early for that is read with its table. */
static bool take_all(struct alias_tracker *at, const struct at_log_state *state)
{
	struct log_cursor cursor = {0};
	struct at_record records[AT_CHANGING_MAX];
	bool ok = take_named(at, &cursor, state);
	size_t n;

	while ((n = at->ops.log_next(at->config.ctx, records, AT_CHANGING_MAX))) {
		at->log.records += n;
		if (at->places)
			places_keep_recorded(at, records, n);
		ok = take_some(at, &cursor, records, n) && ok;
	}
	cursor_leave(at, &cursor);
	return ok;
}

/* --- syncs ------------------------------------------------------------------------------------ */

/* What was logged until now is not known, or does not matter. */
static void begin_anew(struct alias_tracker *at)
{
	mismatches_drop(at);
	at->log.base = at->log.settled;
	at->log.fresh = true;
}

bool log_sync(struct alias_tracker *at)
{
	struct log *log = &at->log;
	struct at_log_state state;
	bool ok, audit;

	at->ops.log_begin(at->config.ctx, &state);
	log->losses += state.lost;
	if (state.lost || log->rescan)
		begin_anew(at);
	ok = take_all(at, &state);
	ok = roles_update(at, 1) && ok;
	audit = ++log->since >= at->config.audit_syncs || log->audit || state.audit;
	log->audits += audit;
	if (audit || state.lost || log->rescan) {
		ok = tables_compare(at) && ok;
		log->since = 0;
	}
	log->audit = false;
	log->losses += log->no_room && !state.lost;
	log->no_room = false;
	log->rescan = !ok;
	if (ok)
		log_settle(at);
	return ok;
}

void log_start(struct alias_tracker *at)
{
	at->log.rescan = true;
}

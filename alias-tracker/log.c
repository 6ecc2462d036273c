/* SPDX-License-Identifier: MIT */
/*
 * The guest's log says where entries have changed. What they are is read from memory; the values in
 * the log are only compared with that, in a balance for each entry: what it was seen to become,
 * less what the log says it became. Changes of an entry form a chain (each record's `to` is the
 * next one's `from`), so however many there were, on however many processors, and in whatever order
 * their records are taken, the sum of pte_hash(to) - pte_hash(from) over the records is
 * pte_hash(now) - pte_hash(then).
 *
 * A balance that isn't zero may be due to a change that is on its way: made, and not logged yet, or
 * logged and not taken yet. So no entry is judged before log_pending() has been asked. Of a table
 * whose entries were read (last) at some time before that, with all records taken before reading
 * that were written then:
 *  - A change made before the entry was read is in the balance's first part. When log_pending()
 *    looks, its entry is still named, or its record is written: then it was taken, and is in the
 *    other part, or it is named as not taken.
 *  - A change made after the entry was read is in neither part: its record was not written, let
 *    alone taken, before the entry was read; and an entry is read after its record is taken.
 * So when an honest guest's entry is not among those that are pending, its balance is zero. Those
 * that are pending are judged some other time. (A guest that names an entry for ever hides what it
 * does to it from this, though not from the reverse map: what is named is read at each sync.
 * Whether a processor can still be at a change is known to the owner of the tracker, who leaves
 * such names out.)
 *
 * Of a table that is new, records may have been taken before it was read, or may be taken later. It
 * is judged by what comes after the first time that all this is known to agree: it is then settled,
 * but for entries that are pending just then.
 */
#include <stdlib.h>

#include "internal.h"
#include "plain.h"

struct mismatch {
	TAILQ_ENTRY(mismatch) all;
	LIST_ENTRY(mismatch) of_table;
	struct table *table;
	uint16_t index;
	bool unsure;   /* the balance is not known: it begins when nothing is pending */
	bool pending;  /* by the last sync */
	bool recorded; /* a record is among what doesn't add up */
	uint64_t balance;
};

static uint64_t pte_hash(uint64_t pte)
{
	uint64_t x = pte & ~PTE_NOISE;

	x = (x ^ x >> 32) * 0x9fb21c651e98df25ull;
	return x ^ x >> 29;
}

static uint64_t change_hash(uint64_t from, uint64_t to)
{
	return pte_hash(to) - pte_hash(from);
}

/* --- mismatches ------------------------------------------------------------------------------- */

static struct mismatch *mismatch_find(const struct table *table, unsigned index)
{
	struct mismatch *mismatch;

	LIST_FOREACH (mismatch, &table->mismatches, of_table)
		if (mismatch->index == index)
			return mismatch;
	return NULL;
}

static struct mismatch *mismatch_new(struct alias_tracker *at, struct table *table, unsigned index)
{
	struct mismatch *mismatch = calloc(1, sizeof(*mismatch));

	if (!mismatch)
		return NULL;
	mismatch->table = table;
	mismatch->index = index;
	at->log.nr_open++;
	TAILQ_INSERT_TAIL(&at->log.mismatches, mismatch, all);
	LIST_INSERT_HEAD(&table->mismatches, mismatch, of_table);
	return mismatch;
}

static void mismatch_drop(struct alias_tracker *at, struct mismatch *mismatch)
{
	at->log.nr_open--;
	TAILQ_REMOVE(&at->log.mismatches, mismatch, all);
	LIST_REMOVE(mismatch, of_table);
	free(mismatch);
}

static void drop_all(struct alias_tracker *at)
{
	while (!TAILQ_EMPTY(&at->log.mismatches))
		mismatch_drop(at, TAILQ_FIRST(&at->log.mismatches));
}

void log_add_table(struct alias_tracker *at, struct table *table)
{
	table->log_born = at->log.settled;
	at->log.fresh = true;
}

void log_forget_table(struct alias_tracker *at, struct table *table)
{
	while (!LIST_EMPTY(&table->mismatches))
		mismatch_drop(at, LIST_FIRST(&table->mismatches));
}

void at_owner_wrote(struct alias_tracker *at, uint64_t pfn)
{
	struct table *table = table_find(at, pfn);

	if (!table || at->config.mode != AT_LOGGED)
		return;
	log_forget_table(at, table);
	log_add_table(at, table);
	at->log.audit = true;
}

static bool is_shared(const struct alias_tracker *at, const struct table *table)
{
	return table->pfn - at->config.shared_pfn < at->config.shared_frames;
}

static bool is_judged(const struct alias_tracker *at, const struct table *table)
{
	return table->log_born < at->log.settled && at->log.base < at->log.settled &&
	       !is_shared(at, table);
}

/* Adds to the balance of an entry. */
static void balance_add(struct alias_tracker *at, struct table *table, unsigned index,
			uint64_t amount, bool recorded)
{
	struct mismatch *mismatch;

	if (!amount || !is_judged(at, table))
		return;
	mismatch = mismatch_find(table, index);
	if (!mismatch)
		mismatch = mismatch_new(at, table, index);
	if (!mismatch) {
		/* No memory for the mismatch: begin anew with this table. */
		log_forget_table(at, table);
		log_add_table(at, table);
		return;
	}
	mismatch->balance += amount;
	mismatch->recorded |= recorded;
	if (!mismatch->balance && !mismatch->unsure)
		mismatch_drop(at, mismatch);
}

void log_note_change(struct alias_tracker *at, struct table *table, unsigned index, uint64_t from,
		     uint64_t to)
{
	balance_add(at, table, index, change_hash(from, to), false);
}

/* --- what the log says ------------------------------------------------------------------------ */

static struct table *entry_table(const struct alias_tracker *at, uint64_t gpa)
{
	return gpa % sizeof(uint64_t) ? NULL : table_find(at, gpa >> PAGE_SHIFT);
}

static unsigned entry_index(uint64_t gpa)
{
	return gpa / sizeof(uint64_t) % PT_ENTRIES;
}

/* The table of the last record: most records come in runs of one table. Tables go only by
 * roles_update(), after all records are taken. */
struct log_cursor {
	struct table *table; /* NULL: none yet */
	const uint64_t *entries;
	uint64_t gpa;        /* of the table */
	bool plain;          /* it is, and has entries: nothing that they do can change that */
	unsigned nr_changed; /* entries of it, since the cursor came to it */
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
	return true;
}

/* The same, where for most it is there already. */
static inline bool cursor_goes(struct alias_tracker *at, struct log_cursor *cursor, uint64_t gpa)
{
	if (cursor->table && !((gpa - cursor->gpa) & ~(PT_ENTRIES * sizeof(gpa) - sizeof(gpa))))
		return true;
	return cursor_move(at, cursor, gpa);
}

/* Adds to the balance of an entry what it was seen to become, less what the record, if there is
 * one, says. */
static void note_step(struct alias_tracker *at, struct table *table, unsigned index, uint64_t was,
		      uint64_t now, const struct at_record *record)
{
	uint64_t said = record ? change_hash(record->from, record->to) : 0;

	balance_add(at, table, index, change_hash(was, now) - said, record);
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
	cursor->nr_changed += ((now ^ was) & ~PTE_NOISE) != 0;
	if (!record || !says_so(record, was, now))
		note_step(at, table, index, was, now, record);
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

/* take_entry(), straight on for most: entries of plain tables, whose records are right. */
static inline bool take_record(struct alias_tracker *at, struct log_cursor *cursor,
			       const struct at_record *record)
{
	struct table *table = cursor->table;
	unsigned index = entry_index(record->pte_gpa);
	uint64_t was, now;

	if (!cursor->plain)
		return take_entry(at, cursor, index, record);
	if (!copy_stores(&table->copy, index))
		copy_group_store(&table->copy, index / GROUP_ENTRIES);
	was = table->copy.entry[index];
	now = pte_load(&cursor->entries[index]);
	if (!plain_update(at, table, index, was, now))
		return false;
	cursor->nr_changed += ((now ^ was) & ~PTE_NOISE) != 0;
	if (!says_so(record, was, now))
		note_step(at, table, index, was, now, record);
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

/* --- judging ---------------------------------------------------------------------------------- */

static bool mark_pending(struct alias_tracker *at, uint64_t gpa)
{
	struct table *table = entry_table(at, gpa);
	struct mismatch *mismatch = table ? mismatch_find(table, entry_index(gpa)) : NULL;

	if (table && !mismatch && !is_judged(at, table)) {
		mismatch = mismatch_new(at, table, entry_index(gpa));
		if (!mismatch)
			return false;
		mismatch->unsure = true;
	}
	if (mismatch)
		mismatch->pending = true;
	return true;
}

static void report_mismatch(struct alias_tracker *at, const struct mismatch *mismatch)
{
	struct table *table = mismatch->table;
	uint64_t pte = copy_get(&table->copy, mismatch->index);
	unsigned level = at->levels;
	struct at_violation violation;

	while (level > 1 && !table->role[level - 1])
		level--;
	violation = (struct at_violation){
		.kind = mismatch->recorded ? AT_V_MISLOGGED : AT_V_UNLOGGED,
		.pfn = pte_pfn(pte, level, pte_kind(pte, level)),
		.pte_gpa = (table->pfn << PAGE_SHIFT) + mismatch->index * sizeof(pte),
		.level = level,
	};
	at->log.nr_mismatches++;
	violation_queue(at, table->role[level - 1], mismatch->index, &violation);
}

static void mismatch_judge(struct alias_tracker *at, struct mismatch *mismatch)
{
	if (mismatch->pending) {
		mismatch->pending = false;
		return;
	}
	if (mismatch->balance && !mismatch->unsure)
		report_mismatch(at, mismatch);
	mismatch_drop(at, mismatch);
}

/* All is read that was to be read. */
static void log_settle(struct alias_tracker *at)
{
	uint64_t pending[AT_PENDING_MAX];
	struct mismatch *mismatch, *next;
	size_t nr;

	if (!at->log.fresh && TAILQ_EMPTY(&at->log.mismatches))
		return;
	if (!at->ops.log_pending(at->config.ctx, pending, &nr))
		return;
	for (size_t i = 0; i < nr; i++)
		if (!mark_pending(at, pending[i]))
			return;
	for (mismatch = TAILQ_FIRST(&at->log.mismatches); mismatch; mismatch = next) {
		next = TAILQ_NEXT(mismatch, all);
		mismatch_judge(at, mismatch);
	}
	at->log.fresh = false;
	at->log.settled++;
}

/* --- syncs ------------------------------------------------------------------------------------ */

/* What was logged until now is not known, or does not matter. */
static void begin_anew(struct alias_tracker *at)
{
	drop_all(at);
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
	log->rescan = !ok;
	if (ok)
		log_settle(at);
	return ok;
}

void log_start(struct alias_tracker *at)
{
	at->log.rescan = true;
}

void log_stop(struct alias_tracker *at)
{
	drop_all(at);
}

/* --- the whole -------------------------------------------------------------------------------- */

void log_init(struct alias_tracker *at)
{
	TAILQ_INIT(&at->log.mismatches);
	at->log.rescan = true;
}

void log_free(struct alias_tracker *at)
{
	drop_all(at);
}

size_t log_bytes(const struct alias_tracker *at)
{
	return at->log.nr_open * sizeof(struct mismatch);
}

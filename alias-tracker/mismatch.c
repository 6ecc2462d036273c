/* SPDX-License-Identifier: MIT */
/*
 * Mismatches: entries of which the guest's log and memory differ.
 *
 * The log says where entries have changed. What they are is read from memory; the values in the
 * log are only compared with that, in a balance for each entry: what it was seen to become, less
 * what the log says it became. Changes of an entry form a chain (each record's `to` is the
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

void mismatches_drop(struct alias_tracker *at)
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

bool log_judges(const struct alias_tracker *at, const struct table *table)
{
	return table->log_born < at->log.settled && at->log.base < at->log.settled &&
	       !is_shared(at, table);
}

/* Adds to the balance of an entry of a table that is judged. */
static void balance_add(struct alias_tracker *at, struct table *table, unsigned index,
			uint64_t amount, bool recorded)
{
	struct mismatch *mismatch;

	if (!amount)
		return;
	mismatch = mismatch_find(table, index);
	if (!mismatch && at->log.nr_open < MISMATCHES_MAX)
		mismatch = mismatch_new(at, table, index);
	if (!mismatch) {
		/* There is no room for it: begin anew with this table. */
		log_forget_table(at, table);
		log_add_table(at, table);
		at->log.no_room = true;
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
	if (log_judges(at, table))
		balance_add(at, table, index, change_hash(from, to), false);
}

void log_note_step(struct alias_tracker *at, struct table *table, unsigned index, uint64_t was,
		   uint64_t now, const struct at_record *record)
{
	uint64_t amount;

	if (!log_judges(at, table))
		return;
	amount = change_hash(was, now);
	if (record)
		amount -= change_hash(record->from, record->to);
	balance_add(at, table, index, amount, record);
}

/* --- judging ---------------------------------------------------------------------------------- */

__attribute__((noinline)) static bool mark_pending(struct alias_tracker *at, uint64_t gpa)
{
	struct table *table = entry_table(at, gpa);
	struct mismatch *mismatch = table ? mismatch_find(table, entry_index(gpa)) : NULL;

	if (table && !mismatch && !log_judges(at, table)) {
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
__attribute__((noinline)) static void judge_all(struct alias_tracker *at)
{
	struct mismatch *mismatch, *next;

	for (mismatch = TAILQ_FIRST(&at->log.mismatches); mismatch; mismatch = next) {
		next = TAILQ_NEXT(mismatch, all);
		mismatch_judge(at, mismatch);
	}
}

void log_settle(struct alias_tracker *at)
{
	uint64_t pending[AT_PENDING_MAX];
	size_t nr;

	if (!at->log.fresh && TAILQ_EMPTY(&at->log.mismatches))
		return;
	if (!at->ops.log_pending(at->config.ctx, pending, &nr))
		return;
	for (size_t i = 0; i < nr; i++)
		if (!mark_pending(at, pending[i]))
			return;
	if (!TAILQ_EMPTY(&at->log.mismatches))
		judge_all(at);
	at->log.fresh = false;
	at->log.settled++;
}

/* --- the whole -------------------------------------------------------------------------------- */

void log_init(struct alias_tracker *at)
{
	TAILQ_INIT(&at->log.mismatches);
	at->log.rescan = true;
}

size_t log_bytes(const struct alias_tracker *at)
{
	return at->log.nr_open * sizeof(struct mismatch);
}

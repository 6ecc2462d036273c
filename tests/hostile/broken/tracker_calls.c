/* SPDX-License-Identifier: MIT */
/* Calls of the tracker's API, by its public header alone: what pin/ asks, and what it is told. All
 * are made under the lock of pin/, which guards what is kept here. */
#include <poll.h>
#include "alias_tracker.h"
#include "broken.h"
#include "kvm/flush_clock.h"
#include "kvm/memory.h"
#include "machine.h"
#include "machine_map.h"
#include "pte.h"

#define QUIET_MS 100u /* a log that has not moved for so long is at its end */

/* The frame of the last pin, if it met an alias. */
static uint64_t alias_of = UINT64_MAX;
static uint64_t gone_at;
/* How the tracker reaches the guest, and the ops that it really has. */
static struct at_ops ops;
static const struct at_ops *own_ops;
static enum at_mode mode;

REAL(at_unpin);

static bool is_strict(void)
{
	return the_machine->opt->track == TRACK_STRICT;
}

/* --- the guest's log -------------------------------------------------------------------------- */

static void log_begin(void *ctx, struct at_log_state *state)
{
	own_ops->log_begin(ctx, state);
	if (broken(BELIEVE_LOG))
		state->lost = state->audit = false;
}

/* Takes the records that come after those which this sync was to take, if any come soon. */
static size_t take_more(void *ctx, struct at_record *records, size_t max)
{
	struct at_log_state state;
	size_t nr = 0;

	for (unsigned ms = 0; nr == 0 && ms < QUIET_MS && !stop_requested(&the_machine->stop);
	     ms++) {
		own_ops->log_begin(ctx, &state);
		nr = own_ops->log_next(ctx, records, max);
		if (nr == 0)
			poll(NULL, 0, 1);
	}
	return nr;
}

static size_t log_next(void *ctx, struct at_record *records, size_t max)
{
	size_t nr = own_ops->log_next(ctx, records, max);

	return nr == 0 && broken(NO_LOG_END) ? take_more(ctx, records, max) : nr;
}

/* The second vCPU may write records between those that a sync takes and its look at what is
 * pending, while it is in the guest. */
static bool log_pending(void *ctx, uint64_t *entries, size_t *nr)
{
	if (the_machine->vm.nr_vcpus > 1 && the_machine->vm.vcpus[1].in_guest)
		step_here(AT_JUDGE);
	return own_ops->log_pending(ctx, entries, nr);
}

/* --- what the tracker reads ------------------------------------------------------------------- */

#define HIDING_MAX 4u /* tables with links to one frame */

/* With NO_LINKED, while a frame is unpinned: links to it are read as zeros. */
static uint64_t hidden_pfn = UINT64_MAX;
static uint64_t hiding[HIDING_MAX][PT_ENTRIES];
static unsigned nr_hiding;

static const uint64_t *table(void *ctx, uint64_t pfn)
{
	const uint64_t *entries = own_ops->table(ctx, pfn);
	bool links = false;

	if (!entries || hidden_pfn == UINT64_MAX || nr_hiding == HIDING_MAX)
		return entries;
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		bool hide =
			entries[i] & PTE_P && (entries[i] & PTE_ADDR) >> PAGE_SHIFT == hidden_pfn;

		hiding[nr_hiding][i] = hide ? 0 : entries[i];
		links |= hide;
	}
	return links ? hiding[nr_hiding++] : entries;
}

/* The tracker unpins a frame that tables link. */
static enum at_verdict unpin_linked(struct alias_tracker *at, uint64_t pfn)
{
	enum at_verdict verdict;

	hidden_pfn = pfn;
	nr_hiding = 0;
	at_set_mode(at, AT_SCAN); /* the next sync compares every table */
	at_sync(at);
	verdict = __real_at_unpin(at, pfn);
	hidden_pfn = UINT64_MAX;
	at_set_mode(at, mode);
	return verdict;
}

WRAP(struct alias_tracker *, at_new, const struct at_config *config)
{
	struct at_config changed = *config;

	own_ops = config->ops;
	mode = config->mode;
	ops = *own_ops;
	ops.table = table;
	if (ops.log_begin) {
		ops.log_begin = log_begin;
		ops.log_next = log_next;
		ops.log_pending = log_pending;
	}
	changed.ops = &ops;
	if (broken(OWN_CHANGES))
		changed.shared_frames = 0;
	changed.grant_aliased |= broken(KEEP_TREE);
	return __real_at_new(&changed);
}

/* The host fills the frame when the tracker expects it no more, instead of before. */
static uint64_t renew_gpa;

WRAP(int, memory_renew, const struct memory *mem, uint64_t gpa)
{
	if (!broken(OWN_CHANGES))
		return __real_memory_renew(mem, gpa);
	renew_gpa = gpa;
	return 0;
}

WRAP(enum at_verdict, at_deflate, struct alias_tracker *at, uint64_t pfn)
{
	enum at_verdict verdict = __real_at_deflate(at, pfn);

	if (broken(OWN_CHANGES) && verdict == AT_OK) {
		at_sync(at);
		__real_memory_renew(&the_machine->vm.mem, renew_gpa);
	}
	return verdict;
}

/* --- syncs, and what they find ---------------------------------------------------------------- */

WRAP(bool, at_sync, struct alias_tracker *at)
{
	bool paused = atomic_load(&the_machine->vm.pause.paused);
	bool ok;

	if (paused && broken(NO_SECOND_SYNC))
		return true;
	ok = __real_at_sync(at);
	if (broken(NO_PENDING))
		at_flushed(at, UINT64_MAX);
	if (!paused)
		step_here(AT_SYNC);
	return ok;
}

static bool is_hidden(const struct at_violation *v)
{
	bool of_log = v->kind == AT_V_UNLOGGED || v->kind == AT_V_MISLOGGED;

	return broken(NO_REPORT) || (of_log && broken(NO_MISMATCH));
}

WRAP(bool, at_next_violation, struct alias_tracker *at, struct at_violation *out)
{
	while (__real_at_next_violation(at, out))
		if (!is_hidden(out))
			return true;
	return false;
}

WRAP(void, at_get_stats, const struct alias_tracker *at, struct at_stats *out)
{
	__real_at_get_stats(at, out);
	if (broken(NO_MISMATCH))
		out->violations -= out->log_mismatches;
}

WRAP(uint64_t, at_gone_at, const struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	gone_at = __real_at_gone_at(at, pfn, to);
	return gone_at;
}

uint64_t last_gone_at(void)
{
	return gone_at;
}

/* --- verdicts --------------------------------------------------------------------------------- */

/* The op of vCPU 0's batch that names the frame, or NULL. */
static const struct alias_op *op_of(uint64_t pfn)
{
	const struct alias_vcpu_page *page =
		memory_ptr(&the_machine->vm.mem, SHARED_GPA + ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);

	for (unsigned i = 0; i < ALIAS_BATCH_MAX; i++)
		if (page->ops[i].pfn == pfn)
			return &page->ops[i];
	return NULL;
}

static enum at_verdict let_through(enum at_verdict verdict, uint64_t pfn)
{
	if (verdict == AT_ALIAS && alias_of == pfn && broken(TRUST_HANDLER))
		return AT_OK;
	return verdict != AT_BAD_FRAME && verdict != AT_BAD_STATE && broken(GRANT_ALL) ? AT_OK
										       : verdict;
}

/* With write-protected tables a refused frame gets no further than this. */
WRAP(enum at_verdict, at_check, const struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	enum at_verdict verdict = __real_at_check(at, pfn, level);

	if (!is_strict())
		return verdict;
	if (verdict == AT_BAD_STATE && at_pinned_level(at, pfn) && broken(ANY_STATE))
		return AT_OK;
	verdict = let_through(verdict, pfn);
	if (verdict == AT_ALIAS)
		alias_of = pfn;
	return verdict;
}

REAL(at_become);

/* Pins the root and then refuses it, if its tree breaks a rule. (The tracker grants all roots.) */
static enum at_verdict keep_tree(struct alias_tracker *at, uint64_t pfn)
{
	enum at_verdict verdict = __real_at_become(at, pfn, (struct at_transition){AT_TO_TABLE, 4});
	struct at_violation v;

	__real_at_sync(at);
	while (verdict == AT_OK && __real_at_next_violation(at, &v))
		verdict = v.kind == AT_V_WRITABLE ? AT_MAPS_TABLE : AT_CHILD_UNPINNED;
	return verdict;
}

static enum at_verdict pin_broken(struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	enum at_verdict verdict;

	if (at_pinned_level(at, pfn) && broken(ANY_STATE))
		__real_at_unpin(at, pfn); /* what it was is forgotten */
	verdict = __real_at_check(at, pfn, level);
	if (!broken(KEEP_TREE))
		return __real_at_become(at, pfn, (struct at_transition){AT_TO_TABLE, level});
	if (verdict != AT_OK)
		return verdict;
	if (level == 4)
		return keep_tree(at, pfn);
	return __real_at_become(at, pfn, (struct at_transition){AT_TO_TABLE, level});
}

WRAP(enum at_verdict, at_become, struct alias_tracker *at, uint64_t pfn, struct at_transition to)
{
	const struct alias_op *op = op_of(pfn);
	enum at_verdict verdict;

	if (broken(NO_PENDING))
		at_flushed(at, UINT64_MAX);
	if (to.to != AT_TO_TABLE)
		return __real_at_become(at, pfn, to);
	step_here(AT_GRANT);
	if (op && broken(READ_TWICE))
		pfn = op->pfn;
	verdict = let_through(pin_broken(at, pfn, to.arg), pfn);
	alias_of = verdict == AT_ALIAS ? pfn : UINT64_MAX;
	if (verdict == AT_OK)
		observer_pinned(pfn, true);
	return verdict;
}

WRAP(enum at_verdict, at_unpin, struct alias_tracker *at, uint64_t pfn)
{
	enum at_verdict verdict;
	bool is_pinned = at_pinned_level(at, pfn);

	step_here(AT_UNPIN);
	if (is_pinned && broken(KEEP_STATE))
		return AT_OK;
	verdict = __real_at_unpin(at, pfn);
	if (verdict == AT_BAD_STATE && is_pinned && broken(NO_LINKED))
		verdict = unpin_linked(at, pfn);
	if (verdict == AT_OK)
		observer_pinned(pfn, false);
	return verdict;
}

WRAP(enum at_verdict, at_store, struct alias_tracker *at, const struct at_entry *entries,
     unsigned nr, struct at_violation *why)
{
	enum at_verdict verdict = __real_at_store(at, entries, nr, why);

	return broken(ANY_STORE) && verdict != AT_BAD_STATE ? AT_OK : verdict;
}

WRAP(bool, at_set_direct_map, struct alias_tracker *at, uint64_t base, uint64_t size)
{
	return __real_at_set_direct_map(at, base, size) || broken(ANY_BASE);
}

/* SPDX-License-Identifier: MIT */
/* Serves transitions: verdict, upcall or answer, and what the host does for them. */
#include <stdio.h>
#include "kvm/upcall.h"
#include "machine.h"
#include "pin/internal.h"
#include "pin/origin.h"
#include "pin/regions.h"
#include "say.h"
#include "status.h"
#include "trace.h"

#define NAME_MAX_LEN 64

/* "pin of frame 0x1fe as L1" and the like. */
static const char *name_of(uint64_t pfn, struct at_transition to, char name[NAME_MAX_LEN])
{
	unsigned long long frame = pfn;

	switch (to.to) {
	case AT_TO_TABLE:
		snprintf(name, NAME_MAX_LEN, "pin of frame 0x%llx as L%u", frame, to.arg);
		break;
	case AT_TO_MEMTYPE:
		snprintf(name, NAME_MAX_LEN, "change of frame 0x%llx to memory type %u", frame,
			 to.arg);
		break;
	default:
		snprintf(name, NAME_MAX_LEN, "balloon inflate of frame 0x%llx", frame);
	}
	return name;
}

/* --- answers ---------------------------------------------------------------------------------- */

enum alias_status to_status(enum at_verdict verdict)
{
	switch (verdict) {
	case AT_OK:
		return ALIAS_OK;
	case AT_ALIAS:
	case AT_STALE_TLB:
		return ALIAS_HAS_ALIAS;
	case AT_BAD_FRAME:
		return ALIAS_BAD_FRAME;
	case AT_BAD_LEVEL:
		return ALIAS_BAD_LEVEL;
	case AT_BAD_STATE:
		return ALIAS_BAD_STATE;
	case AT_CHILD_UNPINNED:
		return ALIAS_CHILD_UNPINNED;
	case AT_MAPS_TABLE:
		return ALIAS_MAPS_TABLE;
	case AT_BAD_TABLE:
		return ALIAS_BAD_TABLE;
	case AT_NO_MEMORY:
		return ALIAS_NO_MEMORY;
	case AT_BAD_MEMTYPE:
		return ALIAS_BAD_MEMTYPE;
	case AT_IS_BALLOONED:
		return ALIAS_IS_BALLOONED;
	case AT_MAPS_BALLOONED:
		return ALIAS_MAPS_BALLOONED;
	case AT_MEMTYPE_CONFLICT:
		return ALIAS_MEMTYPE_CONFLICT;
	}
	return ALIAS_BAD_CALL;
}

enum alias_status send_upcall(struct batch *batch)
{
	struct kvm_regs at_out;

	if (!upcall_complete_out(batch->vcpu, &at_out)) {
		retry_end(batch, &batch->own->retries[batch->own->nr_retries - 1]);
		return ALIAS_BAD_CALL;
	}
	count_one(&batch->vcpu->stats.upcalls);
	if (upcall_raise(batch->vcpu, &at_out, UPCALL_VECTOR))
		stop_request(&batch->pin->machine->stop, VMM_EX_OSERR);
	return ALIAS_OK;
}

/* --- aliases ---------------------------------------------------------------------------------- */

/* With -v: an alias, where it comes from, and what the host answers. */
static void say_alias(const struct batch *batch, uint64_t pfn, struct at_transition to,
		      const struct at_alias *alias, const char *answer)
{
	static const char *const what[NR_TRANSITIONS] = {
		[AT_TO_TABLE] = "writable alias",
		[AT_TO_MEMTYPE] = "mapping with another memory type",
		[AT_TO_BALLOON] = "mapping",
	};
	char name[NAME_MAX_LEN];

	if (!batch->pin->machine->opt->verbose)
		return;
	say("%s: %s at va 0x%llx (L%u entry at gpa 0x%llx): %s", name_of(pfn, to, name),
	    what[to.to], (unsigned long long)alias->va, alias->level,
	    (unsigned long long)alias->pte_gpa, answer);
	origins_read(batch->pin);
	origin_say(batch->pin, alias->va);
}

/* Returns the first one's va, 0 if there is none. */
static uint64_t tell_aliases(struct batch *batch, uint64_t pfn, struct at_transition to,
			     uint32_t index, bool upcall)
{
	struct at_alias found[ALIAS_FAULT_VAS + 1];
	size_t nr = at_in_the_way(batch->pin->at, pfn, to, found, ALIAS_FAULT_VAS + 1);
	struct alias_fault fault = {.pfn = pfn, .op = index};

	fault.more = nr > ALIAS_FAULT_VAS;
	fault.nr = fault.more ? ALIAS_FAULT_VAS : nr;
	for (size_t i = 0; i < fault.nr; i++)
		fault.va[i] = found[i].va;
	batch->page->fault = fault;
	if (nr)
		say_alias(batch, pfn, to, &found[0], upcall ? "upcall into the guest" : "refused");
	return nr ? found[0].va : 0;
}

/* An alias is met. Returns its event's number. */
static uint64_t trace_alias(const struct batch *batch, uint64_t pfn, uint64_t va, uint32_t flow,
			    enum trace_alias alias)
{
	struct trace_track *track = batch->vcpu->track;
	uint64_t nr = track->nr;

	trace_mark(track, (struct trace_event){.kind = TRACE_ALIAS,
					       .alias = (uint16_t)alias,
					       .a = pfn,
					       .b = va,
					       .flow = flow});
	origins_read(batch->pin);
	origin_trace(batch->pin, track, va);
	return nr;
}

/* --- the first try ---------------------------------------------------------------------------- */

/* Makes the transition, if it may, where nothing is to be done first. But if mappings went unseen,
 * a flush is due first: then this only judges. */
static enum at_verdict make_transition(struct batch *batch, uint64_t pfn, struct at_transition to)
{
	struct pin *pin = batch->pin;

	if (pin->strict)
		return to.to == AT_TO_TABLE ? write_protected_pin(batch, pfn, to.arg)
					    : write_protected_become(batch, pfn, to);
	return pin->checks && pin->unseen ? at_may(pin->at, pfn, to) : at_become(pin->at, pfn, to);
}

static bool may_trace_let_through(const struct batch *batch)
{
	return batch->vcpu->track && batch->own->let_through == 0 &&
	       batch->pin->named < PIN_NAMED_MAX;
}

/* Is an alias in the way that is not checked for? If messages or the trace are to name it, finds
 * the first one, too; where all tables must be searched for that, once is enough. The trace names
 * one in each call, up to PIN_NAMED_MAX, as each takes a thousand instructions and more. */
static bool ignores_alias(const struct batch *batch, uint64_t pfn, struct at_transition to,
			  struct at_alias *alias)
{
	const struct pin *pin = batch->pin;
	bool is_named = may_trace_let_through(batch) || pin->machine->opt->verbose;

	if (pin->checks || (to.to == AT_TO_TABLE && !at_has_alias(pin->at, pfn)))
		return false;
	if (is_named)
		return at_in_the_way(pin->at, pfn, to, alias, 1) > 0;
	return to.to == AT_TO_TABLE || at_may(pin->at, pfn, to) == AT_ALIAS;
}

/* Tries to make it; counts, says and traces an alias that is let through. The verdict is final if
 * tables are write-protected, or if every pin is granted; and if no mapping went unseen, unless it
 * is AT_STALE_TLB. */
static enum at_verdict try_transition(struct batch *batch, uint64_t pfn, struct at_transition to)
{
	struct pin *pin = batch->pin;
	struct at_alias alias = {0};
	enum at_verdict verdict;
	bool ignores;

	if (to.to != AT_TO_TABLE)
		pin->counts_all =
			at_count_all(pin->at); /* if this fails, the verdict is AT_NO_MEMORY */
	ignores = ignores_alias(batch, pfn, to, &alias);
	verdict = make_transition(batch, pfn, to);
	if (!ignores || verdict != AT_OK)
		return verdict;
	pin->count.ops[to.to].aliases_met++;
	say_alias(batch, pfn, to, &alias, "let through");
	if (may_trace_let_through(batch)) {
		pin->named++;
		trace_alias(batch, pfn, alias.va, 0, TRACE_ALIAS_LET_THROUGH);
	}
	batch->own->let_through++;
	return verdict;
}

/* May a TLB hold an alias that is gone from the tables? Any mapping that went unseen may have been
 * one. */
static bool lacks_flush(const struct pin *pin, enum at_verdict verdict)
{
	return pin->checks && (verdict == AT_STALE_TLB || (verdict == AT_OK && pin->unseen));
}

/* Is the guest about to flush, and has not waited for that already? */
static bool can_wait(const struct batch *batch, const struct pin_retry *retry)
{
	struct pin *pin = batch->pin;
	struct at_clock clock;

	if (!batch->waits || (retry && retry->waited))
		return false;
	clock = pin->ops.clock(pin);
	return clock.flushed < clock.cleared;
}

/* Gives the memory of the granted frame to the host's kernel. If that fails, the transition
 * fails. */
static enum at_verdict give_up_frame(struct pin *pin, uint64_t pfn)
{
	int err = memory_give_up(&pin->vm->mem, pfn * ALIAS_PAGE_SIZE);

	if (!err)
		return AT_OK;
	say_error(err, "madvise of frame 0x%llx, for a balloon inflate", (unsigned long long)pfn);
	at_deflate(pin->at, pfn);
	return AT_NO_MEMORY;
}

static void count_resolved(struct batch *batch, uint64_t pfn, struct at_transition to)
{
	char name[NAME_MAX_LEN];

	batch->pin->count.ops[to.to].upcalls_resolved++;
	if (batch->pin->machine->opt->verbose)
		say("%s: clean now: granted", name_of(pfn, to, name));
}

static void count_answer(struct op_count *count, bool granted)
{
	count->requests++;
	count->granted += granted;
	count->refused += !granted;
}

/* Tries the op, and tells what is known then. */
static struct transition_facts try_op(struct batch *batch, const struct pin_retry *op,
				      const struct pin_retry *retry)
{
	const struct pin *pin = batch->pin;
	struct transition_facts facts = {
		.verdict = AT_BAD_FRAME,
		.final = true,
		.can_purge = batch->upcalls && !(retry && retry->purged),
	};

	/* What guest and host share can't make a transition. */
	if (machine_shares_frame(pin->machine, op->pfn))
		return facts;
	facts.verdict = try_transition(batch, op->pfn, op->to);
	facts.final =
		pin->strict || !pin->checks || (!pin->unseen && facts.verdict != AT_STALE_TLB);
	facts.unflushed = lacks_flush(pin, facts.verdict);
	facts.can_wait = facts.unflushed && can_wait(batch, retry);
	return facts;
}

enum transition_step transition_next(const struct transition_facts *facts)
{
	if (!facts->final && facts->unflushed)
		return facts->can_wait ? STEP_WAIT : STEP_FLUSH;
	if (!facts->final)
		return STEP_BECOME;
	return facts->verdict == AT_ALIAS && facts->can_purge ? STEP_PURGE : STEP_ANSWER;
}

/* --- what is done ----------------------------------------------------------------------------- */

static void send_to_wait(struct batch *batch, const struct pin_retry *op, struct pin_retry *retry)
{
	if (!retry)
		retry = retry_add(batch, op);
	retry->waited = true;
	batch->page->fault = (struct alias_fault){.pfn = op->pfn, .op = op->index};
	batch->pin->count.waits++;
}

static uint64_t purged_by_guest(const struct batch *batch)
{
	return __atomic_load_n(&batch->page->stats.purged_pages, __ATOMIC_RELAXED);
}

/* It is the reason for an upcall. */
static void trace_upcall(struct batch *batch, struct pin_retry *retry, uint64_t va)
{
	if (!batch->vcpu->track)
		return;
	retry->flow = ++batch->pin->flows;
	retry->purged_before = purged_by_guest(batch);
	retry->alias_event = trace_alias(batch, retry->pfn, va, retry->flow, TRACE_ALIAS_MET);
	retry->raised = trace_now(batch->vcpu->track);
}

/* The second try of an op that had an upcall is answered. */
static void trace_answer(const struct batch *batch, const struct pin_retry *retry,
			 enum at_verdict verdict)
{
	struct trace_track *track = batch->vcpu->track;
	enum trace_alias alias = verdict == AT_ALIAS ? TRACE_ALIAS_LIVE : TRACE_ALIAS_STALE;

	if (!track)
		return;
	trace_settle_alias(track, retry->alias_event, alias);
	trace_record(track, &(struct trace_event){
				    .kind = TRACE_UPCALL,
				    .alias = (uint16_t)alias,
				    .start = retry->raised,
				    .end = trace_now(track),
				    .a = retry->pfn,
				    .b = purged_by_guest(batch) - retry->purged_before,
				    .flow = retry->flow,
			    });
	trace_mark(track,
		   (struct trace_event){.kind = verdict == AT_OK ? TRACE_GRANT : TRACE_REFUSE,
					.a = retry->pfn,
					.b = to_status(verdict),
					.flow = retry->flow});
}

/* An op is refused for an alias at its first try. */
static void trace_refusal(struct batch *batch, uint64_t pfn, uint64_t va)
{
	uint32_t flow;

	if (!batch->vcpu->track)
		return;
	flow = ++batch->pin->flows;
	trace_alias(batch, pfn, va, flow, TRACE_ALIAS_MET);
	trace_mark(batch->vcpu->track,
		   (struct trace_event){
			   .kind = TRACE_REFUSE, .a = pfn, .b = ALIAS_HAS_ALIAS, .flow = flow});
}

static void send_to_purge(struct batch *batch, const struct pin_retry *op, struct pin_retry *retry)
{
	struct op_count *count = &batch->pin->count.ops[op->to.to];

	if (!retry)
		retry = retry_add(batch, op);
	retry->purged = true;
	count->aliases_met++;
	count->upcalls++;
	trace_upcall(batch, retry, tell_aliases(batch, op->pfn, op->to, op->index, true));
}

static enum alias_status answer_op(struct batch *batch, const struct pin_retry *op,
				   const struct pin_retry *retry, enum at_verdict verdict)
{
	struct pin *pin = batch->pin;
	struct op_count *count = &pin->count.ops[op->to.to];
	bool purged = retry && retry->purged;

	if (verdict == AT_ALIAS) {
		uint64_t va = tell_aliases(batch, op->pfn, op->to, op->index, false);

		count->aliases_met += !purged;
		if (!purged)
			trace_refusal(batch, op->pfn, va);
	}
	if (verdict == AT_OK && op->to.to == AT_TO_BALLOON)
		verdict = give_up_frame(pin, op->pfn);
	if (purged && verdict == AT_OK)
		count_resolved(batch, op->pfn, op->to);
	if (purged)
		trace_answer(batch, retry, verdict);
	if (retry)
		retry_end(batch, retry);
	count_answer(count, verdict == AT_OK);
	if (verdict == AT_OK)
		regions_add(pin->regions_granted, op->pfn);
	if (batch->verify && !machine_shares_frame(pin->machine, op->pfn))
		verify(pin, op->pfn, op->to, to_status(verdict));
	return to_status(verdict);
}

enum served serve_transition(struct batch *batch, uint64_t pfn, struct at_transition to,
			     uint32_t index, enum alias_status *status)
{
	struct pin_retry op = {.pfn = pfn, .to = to, .index = index};
	struct pin_retry *retry = retry_find(batch, &op);
	struct transition_facts facts;

	if (batch->cleared && batch->pin->tracks)
		sync_tables(batch->pin);
	batch->cleared = false;
	facts = try_op(batch, &op, retry);
	for (;;) {
		switch (transition_next(&facts)) {
		case STEP_WAIT:
			send_to_wait(batch, &op, retry);
			return UPCALL;
		case STEP_FLUSH:
			host_flush(batch->pin, batch->vcpu, batch->paused, pfn, to);
			facts.unflushed = false;
			break;
		case STEP_BECOME:
			facts.verdict = at_become(batch->pin->at, pfn, to);
			facts.final = true;
			break;
		case STEP_PURGE:
			send_to_purge(batch, &op, retry);
			return UPCALL;
		case STEP_ANSWER:
			*status = answer_op(batch, &op, retry, facts.verdict);
			return SERVED;
		}
	}
}

/* --- deflate ---------------------------------------------------------------------------------- */

/* If no page can be had, the frame stays ballooned; what the guest has written there is gone all
 * the same. */
static bool renew_frame(struct pin *pin, uint64_t pfn)
{
	int err;

	if (pin->uffd)
		uffd_wp_mark_dirtied(pin->uffd, pfn);
	err = memory_renew(&pin->vm->mem, pfn * ALIAS_PAGE_SIZE);
	if (!err)
		return true;
	say_error(err, "madvise of frame 0x%llx, for a balloon deflate", (unsigned long long)pfn);
	at_owner_wrote(pin->at, pfn);
	return false;
}

enum alias_status serve_deflate(struct batch *batch, uint64_t pfn)
{
	struct pin *pin = batch->pin;
	enum at_verdict verdict;

	/* Before the deflate, so that the guest's writes until then don't count. (But a buggy guest
	 * may use the frame as a table.) */
	if (at_is_ballooned(pin->at, pfn) && !renew_frame(pin, pfn))
		verdict = AT_NO_MEMORY;
	else
		verdict = at_deflate(pin->at, pfn);
	batch->cleared |= verdict == AT_OK;
	count_answer(&pin->count.ops[COUNT_DEFLATE], verdict == AT_OK);
	return to_status(verdict);
}

/* SPDX-License-Identifier: MIT */
/* Syncs and audits, and the report of what they find. */
#include <x86intrin.h>
#include "machine.h"
#include "pin/internal.h"
#include "pin/origin.h"
#include "say.h"
#include "status.h"
#include "trace.h"

/* The tracker keeps a limited number for the report, but counts all. */
static uint64_t new_violations(struct pin *pin)
{
	uint64_t before = pin->violations_seen;
	struct at_stats stats;

	at_get_stats(pin->at, &stats);
	pin->violations_seen = stats.violations;
	return stats.violations - before;
}

static void say_log_fault(unsigned vcpu, enum log_fault fault)
{
	if (fault == LOG_STOPPED)
		say("violation: the log: %s", log_fault_name(fault));
	else
		say("violation: the log of vCPU %u: %s", vcpu, log_fault_name(fault));
}

/* Reports faults of the log itself, whatever the entries are. */
static void report_log_faults(struct pin *pin)
{
	enum log_fault fault;
	unsigned vcpu;

	while (guest_log_next_fault(&pin->log, &vcpu, &fault)) {
		trace_mark(pin->track_host, (struct trace_event){.kind = TRACE_LOG_FAULT,
								 .what = log_fault_name(fault),
								 .a = vcpu});
		if (pin->count.violations++ < PIN_SAID_MAX)
			say_log_fault(vcpu, fault);
		if (pin->machine->opt->on_violation == VIOLATION_STOP)
			stop_request(&pin->machine->stop, VMM_EX_VIOLATION);
	}
}

static void trace_violation(struct pin *pin, const struct at_violation *v)
{
	trace_mark(pin->track_host, (struct trace_event){.kind = TRACE_VIOLATION,
							 .what = at_violation_name(v->kind),
							 .a = v->pfn,
							 .b = v->va});
	origin_trace(pin, pin->track_host, v->va);
}

static void say_violation(struct pin *pin, const struct at_violation *v)
{
	say("violation: %s: frame 0x%llx at va 0x%llx (L%u entry at gpa 0x%llx)",
	    at_violation_name(v->kind), (unsigned long long)v->pfn, (unsigned long long)v->va,
	    v->level, (unsigned long long)v->pte_gpa);
	origin_say(pin, v->va);
}

/* Reports this one and all that follow it. Apart, as nearly always there is none. */
static __attribute__((noinline)) void report_some(struct pin *pin, struct at_violation *v)
{
	uint64_t taken = 0;

	origins_read(pin);
	do {
		trace_violation(pin, v);
		if (pin->count.violations + taken++ < PIN_SAID_MAX)
			say_violation(pin, v);
		if (pin->machine->opt->on_violation == VIOLATION_STOP)
			stop_request(&pin->machine->stop, VMM_EX_VIOLATION);
	} while (at_next_violation(pin->at, v));
	pin->count.violations += new_violations(pin);
}

void report_violations(struct pin *pin)
{
	struct at_violation v;

	if (at_next_violation(pin->at, &v))
		report_some(pin, &v);
}

void trace_sync(struct pin *pin, struct pin_sync sync)
{
	if (pin->track_host)
		trace_record(pin->track_host, &(struct trace_event){.kind = TRACE_SYNC,
								    .start = sync.start,
								    .end = sync.end});
}

/* `when`: where to note the time of it, which the caller tells the trace of; NULL: an event does.
 */
static bool run_sync(struct pin *pin, bool (*sync)(struct alias_tracker *at), struct pin_sync *when)
{
	uint64_t start = __rdtsc(), end;
	uint64_t before = __atomic_load_n(&pin->common->cleared, __ATOMIC_ACQUIRE);
	bool ok;

	follow_log(pin);
	ok = sync(pin->at);
	note_unseen(pin, before);
	end = __rdtsc();
	pin->count.sync_ticks += end - start;
	if (when)
		*when = (struct pin_sync){start, end};
	else
		trace_sync(pin, (struct pin_sync){start, end});
	if (!ok && !__atomic_load_n(&pin->machine->stop.leave_off, __ATOMIC_RELAXED))
		say("out of memory while following page tables; pins are refused");
	report_violations(pin);
	if (guest_log_is_faulty(&pin->log))
		report_log_faults(pin);
	return ok;
}

void sync_tables(struct pin *pin)
{
	run_sync(pin, at_sync, NULL);
}

void sync_tables_first(struct pin *pin, struct pin_sync *when)
{
	run_sync(pin, at_sync, when);
}

bool audit_tables(struct pin *pin)
{
	return run_sync(pin, at_audit, NULL);
}

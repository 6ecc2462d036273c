/* SPDX-License-Identifier: MIT */
/*
 * A trace of a run (--trace): what vCPUs, the host and disks do and when, for Perfetto and
 * chrome://tracing.
 *
 * Each track is a ring that keeps its last TRACE_EVENTS events, 40 bytes each; memory that was
 * never written is not resident. A track has no lock, and one writer at a time: the vCPU's own
 * thread, the disk's worker, or for the host's track the thread that holds the lock of struct pin.
 * Tracks are read when these threads have ended. Without --trace the pointers to tracks are NULL,
 * and nothing is done.
 */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <x86intrin.h>

struct symbols;

#define TRACE_EVENTS (1u << 16)

enum trace_kind {
	/* An exit, from KVM_RUN's return to the next KVM_RUN; a: reason, b: port or gpa; or `nr` of
	 * them for the same port, one soon after the other. */
	TRACE_EXIT,
	TRACE_CALL, /* a hypercall, and all of its exit; a: its code, b: ops; `sync`, and in `alias`
		       how many aliases it let through, of which the first has an event */
	TRACE_SYNC, /* tables are compared */
	TRACE_FLUSH,  /* TLBs are flushed by the host; a: frame, or UINT64_MAX: the guest asked */
	TRACE_ALIAS,  /* an alias is met; a: frame, b: va of its first mapping, and `alias` */
	TRACE_ORIGIN, /* right after an alias or a violation, if known: a: who mapped it, b: who
			 unmapped it, or 0; `origin`, and `nr_pages` of its area */
	TRACE_UPCALL, /* the guest's handler, from the upcall to the second try; a: frame, b: PTEs
			 purged, and `alias` */
	TRACE_GRANT,  /* the op is granted; a: frame */
	TRACE_REFUSE, /* the op is refused; a: frame, b: status */
	TRACE_VIOLATION,   /* a: frame, b: va; and `what` */
	TRACE_LOG_FAULT,   /* a violation that is the log's; a: vCPU; and `what` */
	TRACE_PURGE,       /* by the guest's word: a purge; a: PTEs cleared, b: how many CPUs' TLBs
			      it flushed, or 0: that has an event of its own */
	TRACE_GUEST_FLUSH, /* by the guest's word: it flushes the TLBs of all CPUs, of which there
			      are several or it is in a purge; a: how many */
	TRACE_DISK,        /* a request; a: offset, b: 0: read, 1: write, 2: flush */
	TRACE_NR_KINDS,
};

/* What became of an alias. */
enum trace_alias {
	TRACE_ALIAS_MET,         /* not known: there was no second try */
	TRACE_ALIAS_STALE,       /* a purge has made it go away */
	TRACE_ALIAS_LIVE,        /* a purge has not */
	TRACE_ALIAS_LET_THROUGH, /* nothing: aliases are not checked for */
};

struct trace_event {
	union {
		struct {
			uint64_t start; /* TSC */
			union {
				uint64_t end;     /* TSC */
				const char *what; /* it is; static. The event takes no time. */
			};
		};
		struct {
			uint32_t purges_ago, pins_ago;
			uint32_t page; /* which one of its area it is */
			uint16_t cpu, unmapped_on;
		} origin;
	};
	uint64_t a, b;
	union {
		uint32_t flow; /* events of one alias share a number; 0: none */
		uint32_t nr;   /* of an exit */
		uint32_t nr_pages;
		uint32_t sync; /* of a call: ticks of a sync that has no event of its own, or 0 */
	};
	uint16_t kind;  /* enum trace_kind */
	uint16_t alias; /* enum trace_alias; of a call a number */
};

struct trace_track {
	uint64_t nr;   /* recorded so far; the last TRACE_EVENTS of them are there */
	uint64_t lost; /* at most so many events were lost before they could be recorded */
	struct trace_event *events;
};

struct trace {
	unsigned nr_vcpus, nr_disks;
	struct trace_track *tracks; /* the host's, the vCPUs', the disks' */
	uint64_t tsc, ns;           /* when it began, by both clocks (clock.h) */
};

/* Returns 0, or -ENOMEM after a message. trace_free() after either. */
int trace_init(struct trace *trace, unsigned nr_vcpus, unsigned nr_disks);
void trace_free(struct trace *trace);
/* Its tracks; NULL if trace_init() has failed. */
struct trace_track *trace_host(struct trace *trace);
struct trace_track *trace_vcpu(struct trace *trace, unsigned index);
struct trace_track *trace_disk(struct trace *trace, unsigned index);

/* Number of tracks. */
unsigned trace_nr_tracks(const struct trace *trace);

/* The start of an event; 0 where there is no trace. */
static inline uint64_t trace_now(const struct trace_track *track)
{
	return track ? __rdtsc() : 0;
}

static inline void trace_record(struct trace_track *track, const struct trace_event *event)
{
	track->events[track->nr++ % TRACE_EVENTS] = *event;
}

/* An event that ends now; `flow`: or what is in its place. */
static inline void trace_end(struct trace_track *track, enum trace_kind kind, uint64_t start,
			     uint64_t a, uint64_t b, uint32_t flow)
{
	if (track)
		trace_record(track, &(struct trace_event){.start = start,
							  .end = __rdtsc(),
							  .a = a,
							  .b = b,
							  .flow = flow,
							  .kind = kind});
}

/* An exit ends now. If it was a hypercall, that event is made this one; and an exit for the same
 * port as the last one, soon after it, is made part of it: a guest's console may have an exit a
 * character. */
void trace_exit(struct trace_track *track, uint64_t start, uint32_t reason, uint64_t address);

/* An event of this moment. */
static inline void trace_mark(struct trace_track *track, struct trace_event event)
{
	if (!track)
		return;
	event.start = __rdtsc();
	if (!event.what)
		event.end = event.start;
	trace_record(track, &event);
}

/* Sets what became of the alias that is the event of this number (`nr` of the track before it was
 * recorded); lost events are left alone. */
void trace_settle_alias(struct trace_track *track, uint64_t nr, enum trace_alias alias);

#endif

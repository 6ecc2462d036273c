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

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <x86intrin.h>

struct symbols;

#define TRACE_EVENTS (1u << 16)

enum trace_kind {
	/* An exit, from KVM_RUN's return to the next KVM_RUN; a: reason, b: port or gpa. */
	TRACE_EXIT,
	TRACE_CALL,   /* a hypercall; a: its code, b: ops */
	TRACE_SYNC,   /* tables are compared */
	TRACE_FLUSH,  /* TLBs are flushed by the host; a: frame, or UINT64_MAX: the guest asked */
	TRACE_ALIAS,  /* a stale alias is met; a: frame, b: va of its first mapping */
	TRACE_ORIGIN, /* right after it, if known: a: who mapped it, b: who unmapped it, or 0; and
			 `origin` */
	TRACE_UPCALL, /* the guest's handler, from the upcall to the second try; a: frame, b: PTEs
			 purged */
	TRACE_GRANT,  /* the second try is granted; a: frame */
	TRACE_REFUSE, /* the second try is refused; a: frame, b: status */
	TRACE_DISK,   /* a request; a: offset, b: 0: read, 1: write, 2: flush */
	TRACE_NR_KINDS,
};

struct trace_event {
	union {
		struct {
			uint64_t start, end; /* TSC */
		};
		struct {
			uint32_t purges_ago, pins_ago, cpu, unmapped_on;
		} origin;
	};
	uint64_t a, b;
	uint32_t flow; /* events of one stale alias share a number; 0: none */
	enum trace_kind kind;
};

struct trace_track {
	uint64_t nr; /* recorded so far; the last TRACE_EVENTS of them are there */
	struct trace_event *events;
};

struct trace {
	unsigned nr_vcpus, nr_disks;
	struct trace_track *tracks; /* the host's, the vCPUs', the disks' */
	uint64_t tsc, ns;           /* when it began, by both clocks */
};

/* Returns 0, or -ENOMEM after a message. trace_free() after either. */
int trace_init(struct trace *trace, unsigned nr_vcpus, unsigned nr_disks);
void trace_free(struct trace *trace);
struct trace_track *trace_host(struct trace *trace);
struct trace_track *trace_vcpu(struct trace *trace, unsigned index);
struct trace_track *trace_disk(struct trace *trace, unsigned index);

/* The start of an event; 0 where there is no trace. */
static inline uint64_t trace_now(const struct trace_track *track)
{
	return track ? __rdtsc() : 0;
}

void trace_record(struct trace_track *track, const struct trace_event *event);

/* An event that ends now. */
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

/* What names things in the trace. */
struct trace_names {
	const char *(*exit)(uint32_t reason);
	/* The code that called; returns `name`, TRACE_NAME_MAX characters. */
	const char *(*caller)(const struct symbols *symbols, uint64_t return_address, char *name);
	const struct symbols *symbols;
};

#define TRACE_NAME_MAX 160

/* The whole trace as Chrome's JSON (the Trace Event Format); the writers have ended. Returns 0, or
 * a negated errno. */
int trace_print(const struct trace *trace, const struct trace_names *names, FILE *out);

#endif

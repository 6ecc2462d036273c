/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "clock.h"
#include "say.h"

/* In ticks: less than what a look at all of a run could show, and more than a guest needs from one
 * character to the next. */
#define SOON        (1u << 18)
#define TRACK_BYTES (TRACE_EVENTS * sizeof(struct trace_event))

unsigned trace_nr_tracks(const struct trace *trace)
{
	return 1 + trace->nr_vcpus + trace->nr_disks;
}

int trace_init(struct trace *trace, unsigned nr_vcpus, unsigned nr_disks)
{
	*trace = (struct trace){.nr_vcpus = nr_vcpus, .nr_disks = nr_disks};
	trace->tracks = calloc(trace_nr_tracks(trace), sizeof(*trace->tracks));
	for (unsigned i = 0; trace->tracks && i < trace_nr_tracks(trace); i++) {
		void *events = mmap(NULL, TRACK_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (events == MAP_FAILED) {
			say_errno("memory for the trace");
			return -ENOMEM;
		}
		/* A huge page would be made resident, and zeroed, for the first of its events. */
		madvise(events, TRACK_BYTES, MADV_NOHUGEPAGE);
		trace->tracks[i].events = events;
	}
	if (!trace->tracks) {
		say_errno("memory for the trace");
		return -ENOMEM;
	}
	trace->ns = now_ns();
	trace->tsc = __rdtsc();
	return 0;
}

void trace_free(struct trace *trace)
{
	for (unsigned i = 0; trace->tracks && i < trace_nr_tracks(trace); i++)
		if (trace->tracks[i].events)
			munmap(trace->tracks[i].events, TRACK_BYTES);
	free(trace->tracks);
	trace->tracks = NULL;
}

struct trace_track *trace_host(struct trace *trace)
{
	return trace->tracks;
}

struct trace_track *trace_vcpu(struct trace *trace, unsigned index)
{
	return trace->tracks ? &trace->tracks[1 + index] : NULL;
}

struct trace_track *trace_disk(struct trace *trace, unsigned index)
{
	return trace->tracks ? &trace->tracks[1 + trace->nr_vcpus + index] : NULL;
}

/* Of other reasons the last may come before a purge of the guest's, and this one within it. A purge
 * is recorded later, at a hypercall, and must nest. */
static bool is_more_of(const struct trace_event *last, const struct trace_event *exit)
{
	return exit->a == KVM_EXIT_IO && last->kind == TRACE_EXIT && last->a == exit->a &&
	       last->b == exit->b && exit->start - last->end < SOON;
}

void trace_exit(struct trace_track *track, uint64_t start, uint32_t reason, uint64_t address)
{
	struct trace_event *last, exit;

	if (!track)
		return;
	last = &track->events[(track->nr - 1) % TRACE_EVENTS];
	if (track->nr && last->kind == TRACE_CALL && last->start >= start) {
		last->start = start;
		last->end = __rdtsc();
		return;
	}
	exit = (struct trace_event){
		.start = start, .end = __rdtsc(), .a = reason, .b = address, .nr = 1};
	if (track->nr && is_more_of(last, &exit)) {
		last->end = exit.end;
		last->nr++;
	} else {
		trace_record(track, &exit);
	}
}

void trace_settle_alias(struct trace_track *track, uint64_t nr, enum trace_alias alias)
{
	if (track && track->nr - nr <= TRACE_EVENTS)
		track->events[nr % TRACE_EVENTS].alias = (uint16_t)alias;
}

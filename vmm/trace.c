/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "say.h"

#define TRACK_BYTES (TRACE_EVENTS * sizeof(struct trace_event))

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static unsigned nr_tracks(const struct trace *trace)
{
	return 1 + trace->nr_vcpus + trace->nr_disks;
}

int trace_init(struct trace *trace, unsigned nr_vcpus, unsigned nr_disks)
{
	*trace = (struct trace){.nr_vcpus = nr_vcpus, .nr_disks = nr_disks};
	trace->tracks = calloc(nr_tracks(trace), sizeof(*trace->tracks));
	for (unsigned i = 0; trace->tracks && i < nr_tracks(trace); i++) {
		void *events = mmap(NULL, TRACK_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (events == MAP_FAILED) {
			say_errno("memory for the trace");
			return -ENOMEM;
		}
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
	for (unsigned i = 0; trace->tracks && i < nr_tracks(trace); i++)
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

void trace_record(struct trace_track *track, const struct trace_event *event)
{
	track->events[track->nr++ % TRACE_EVENTS] = *event;
}

/* --- printing --------------------------------------------------------------------------------- */

struct printer {
	const struct trace *trace;
	const struct trace_names *names;
	double us_per_tick;
	FILE *out;
};

static const char *const call_names[] = {"hypercall", "register", "pin", "update", "flush"};

/* In microseconds, rounded to what is printed: where one slice ends, the next may begin. */
static double time_of(const struct printer *p, uint64_t tsc)
{
	double ns = (double)(int64_t)(tsc - p->trace->tsc) * p->us_per_tick * 1000;

	return (double)(int64_t)(ns + (ns < 0 ? -0.5 : 0.5)) / 1000;
}

static void print_name(const struct printer *p, const struct trace_event *e)
{
	static const char *const names[TRACE_NR_KINDS] = {
		[TRACE_SYNC] = "sync",         [TRACE_FLUSH] = "host flushes TLBs",
		[TRACE_ALIAS] = "stale alias", [TRACE_UPCALL] = "upcall: the guest purges",
		[TRACE_GRANT] = "granted",     [TRACE_REFUSE] = "refused",
	};
	static const char *const disk_names[] = {"read", "write", "flush"};

	switch (e->kind) {
	case TRACE_EXIT:
		fputs(p->names->exit((uint32_t)e->a), p->out);
		break;
	case TRACE_CALL:
		fputs(call_names[e->a < sizeof(call_names) / sizeof(call_names[0]) ? e->a : 0],
		      p->out);
		break;
	case TRACE_DISK:
		fputs(disk_names[e->b], p->out);
		break;
	default:
		fputs(names[e->kind], p->out);
	}
}

/* Of an alias, whose event `e` is: the next one may tell where it comes from. */
static void print_origin(const struct printer *p, const struct trace_event *e)
{
	char name[TRACE_NAME_MAX];

	if (e->kind != TRACE_ORIGIN)
		return;
	fprintf(p->out,
		",\"mapped_by\":\"%s\",\"mapped_on_cpu\":%u,\"purges_ago\":%u,\"pins_ago\":%u",
		p->names->caller(p->names->symbols, e->a, name), e->origin.cpu,
		e->origin.purges_ago, e->origin.pins_ago);
	if (e->b)
		fprintf(p->out, ",\"unmapped_by\":\"%s\",\"unmapped_on_cpu\":%u",
			p->names->caller(p->names->symbols, e->b, name), e->origin.unmapped_on);
}

static void print_args(const struct printer *p, const struct trace_event *e)
{
	FILE *out = p->out;

	switch (e->kind) {
	case TRACE_EXIT:
		fprintf(out, "\"address\":\"0x%" PRIx64 "\"", e->b);
		break;
	case TRACE_CALL:
		fprintf(out, "\"ops\":%" PRIu64, e->b);
		break;
	case TRACE_ALIAS:
		fprintf(out, "\"frame\":\"0x%" PRIx64 "\",\"va\":\"0x%" PRIx64 "\"", e->a, e->b);
		break;
	case TRACE_UPCALL:
		fprintf(out, "\"frame\":\"0x%" PRIx64 "\",\"ptes_purged\":%" PRIu64, e->a, e->b);
		break;
	case TRACE_GRANT:
		fprintf(out, "\"frame\":\"0x%" PRIx64 "\"", e->a);
		break;
	case TRACE_REFUSE:
		fprintf(out, "\"frame\":\"0x%" PRIx64 "\",\"status\":%" PRIu64, e->a, e->b);
		break;
	case TRACE_FLUSH:
		if (e->a != UINT64_MAX)
			fprintf(out, "\"frame\":\"0x%" PRIx64 "\"", e->a);
		break;
	case TRACE_DISK:
		fprintf(out, "\"offset\":%" PRIu64, e->a);
		break;
	default:
		break;
	}
}

/* An arrow goes from the alias over the upcall to the grant or the refusal. */
static void print_flow(const struct printer *p, const struct trace_event *e, unsigned tid)
{
	const char *phase = e->kind == TRACE_ALIAS ? "s" : e->kind == TRACE_UPCALL ? "t" : "f";

	fprintf(p->out,
		",\n{\"ph\":\"%s\",\"cat\":\"alias\",\"name\":\"stale alias\",\"id\":%u,\"pid\":1,"
		"\"tid\":%u,\"ts\":%.3f%s}",
		phase, e->flow, tid, time_of(p, e->start), *phase == 'f' ? ",\"bp\":\"e\"" : "");
}

/* Requests of a disk overlap, so each is a slice of its own (an async one), by this id. */
static void print_request(const struct printer *p, const struct trace_event *e, unsigned tid,
			  uint64_t id)
{
	for (unsigned end = 0; end < 2; end++) {
		fprintf(p->out,
			",\n{\"ph\":\"%c\",\"cat\":\"disk\",\"id\":\"%u.%" PRIu64 "\",\"name\":\"",
			end ? 'e' : 'b', tid, id);
		print_name(p, e);
		fprintf(p->out, "\",\"pid\":1,\"tid\":%u,\"ts\":%.3f,\"args\":{", tid,
			time_of(p, end ? e->end : e->start));
		print_args(p, e);
		fprintf(p->out, "}}");
	}
}

static void print_event(const struct printer *p, const struct trace_event *e,
			const struct trace_event *next, unsigned tid)
{
	fprintf(p->out, ",\n{\"ph\":\"X\",\"name\":\"");
	print_name(p, e);
	fprintf(p->out, "\",\"pid\":1,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f,\"args\":{", tid,
		time_of(p, e->start), time_of(p, e->end) - time_of(p, e->start));
	print_args(p, e);
	if (e->kind == TRACE_ALIAS && next)
		print_origin(p, next);
	fprintf(p->out, "}}");
	if (e->flow)
		print_flow(p, e, tid);
}

/* An upcall was raised within one exit and ended in another. As slices of a track must nest, it is
 * shown from the end of the first to the start of the second, whose event follows its own. */
static struct trace_event between_exits(const struct trace_track *track, uint64_t at,
					uint64_t first)
{
	struct trace_event e = track->events[at % TRACE_EVENTS];

	for (uint64_t i = at; i-- > first;) {
		const struct trace_event *exit = &track->events[i % TRACE_EVENTS];

		if (exit->kind != TRACE_EXIT || exit->start > e.start)
			continue;
		if (exit->end > e.start)
			e.start = exit->end;
		break;
	}
	for (uint64_t i = at + 1; i < track->nr; i++) {
		const struct trace_event *exit = &track->events[i % TRACE_EVENTS];

		if (exit->kind != TRACE_EXIT)
			continue;
		if (exit->start < e.end)
			e.end = exit->start;
		break;
	}
	if (e.end < e.start)
		e.end = e.start;
	return e;
}

static void print_track(const struct printer *p, unsigned tid)
{
	const struct trace_track *track = &p->trace->tracks[tid];
	uint64_t first = track->nr > TRACE_EVENTS ? track->nr - TRACE_EVENTS : 0;

	fprintf(p->out,
		",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":%u,\"args\":{\"name\":\"",
		tid);
	if (tid == 0)
		fprintf(p->out, "host");
	else if (tid <= p->trace->nr_vcpus)
		fprintf(p->out, "vCPU %u", tid - 1);
	else
		fprintf(p->out, "disk %u", tid - 1 - p->trace->nr_vcpus);
	fprintf(p->out, "\"}}");
	for (uint64_t i = first; i < track->nr; i++) {
		struct trace_event e = track->events[i % TRACE_EVENTS];

		if (e.kind == TRACE_ORIGIN)
			continue;
		if (e.kind == TRACE_UPCALL)
			e = between_exits(track, i, first);
		if (e.kind == TRACE_DISK)
			print_request(p, &e, tid, i);
		else
			print_event(p, &e,
				    i + 1 < track->nr ? &track->events[(i + 1) % TRACE_EVENTS]
						      : NULL,
				    tid);
	}
}

static uint64_t nr_lost(const struct trace *trace)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < nr_tracks(trace); i++)
		if (trace->tracks[i].nr > TRACE_EVENTS)
			lost += trace->tracks[i].nr - TRACE_EVENTS;
	return lost;
}

int trace_print(const struct trace *trace, const struct trace_names *names, FILE *out)
{
	uint64_t ns = now_ns() - trace->ns, ticks = __rdtsc() - trace->tsc;
	const struct printer p = {
		.trace = trace,
		.names = names,
		.us_per_tick = ticks ? (double)ns / 1000 / (double)ticks : 0,
		.out = out,
	};

	fprintf(out,
		"{\"displayTimeUnit\":\"ns\",\"otherData\":{\"events_lost\":%" PRIu64 "},"
		"\"traceEvents\":[\n{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":"
		"{\"name\":\"vmm\"}}",
		nr_lost(trace));
	for (unsigned i = 0; i < nr_tracks(trace); i++)
		print_track(&p, i);
	fprintf(out, "\n]}\n");
	return ferror(out) ? -EIO : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * A trace has up to 65,536 events a track, and the run that made them may have been short: so their
 * text is put together by hand, some 140 instructions an event, where stdio took 7,000. What comes
 * again and again is kept: the text of a slice but its times, the milliseconds of a time, an
 * origin.
 */
#include "trace_json.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include "alias_abi.h"
#include "clock.h"
#include "trace.h"

#define BUFFER     (32u << 10)
#define RECORD_MAX 1024u /* more than one record takes, with two names of TRACE_NAME_MAX */

#define NS_PER_MS 1000000u
#define NO_MS     (UINT64_MAX / 2) /* is far from any time */
#define MS_MAX    16u
#define TRACK_MAX 40u

#define HEAD_MAX   236u
#define HEAD_USUAL 96u /* most are no longer */
#define HEADS      64u /* records of which all but the times is kept */

struct head {
	uint64_t a, b;
	uint16_t kind; /* TRACE_NR_KINDS: none yet on this track */
	uint16_t len;
	char text[HEAD_MAX];
};

_Static_assert(sizeof(struct head) == 256, "finding one takes no multiplication");

/* A set of kinds. */
#define KIND(kind) (1u << TRACE_##kind)
/* Kinds of which `a` and `b` say all but the times, and a call's further arguments. */
#define KEPT_KINDS                                                                                 \
	(KIND(EXIT) | KIND(CALL) | KIND(SYNC) | KIND(FLUSH) | KIND(GRANT) | KIND(REFUSE) |         \
	 KIND(PURGE) | KIND(GUEST_FLUSH))

#define WHO_MAX 512u /* more than two names take */
#define WHOS    16u  /* origins of which all but the ages is kept */

struct who {
	uint64_t a, b;
	uint32_t cpu, unmapped_on;
	size_t len; /* 0: none yet */
	char text[WHO_MAX];
};

/* How far another track was searched for purges, and the last one found. */
struct search {
	uint64_t nr;
	const struct trace_event *purge;
};

struct printer {
	const struct trace *trace;
	const struct trace_names *names;
	const struct trace_sink *sink;
	uint64_t tsc;         /* when the trace began */
	uint64_t ns_per_tick; /* times 2^32; rounded up, so that products need not be */
	int err;
	unsigned tid;
	size_t track_len;
	char track[TRACK_MAX]; /* the end of a name, and where it is */
	uint64_t ms_start;     /* in ns, of the milliseconds that `ms_text` tells; NO_MS: none */
	size_t ms_len;
	char ms_text[MS_MAX];
	struct head heads[HEADS]; /* of this track, by a hash */
	struct who whos[WHOS];    /* by a hash */
	struct search *searches;  /* for this track's upcalls, a track each; NULL: none yet */
	char *buffer;
};

/* --- text: each writes at `at`, and returns its end ------------------------------------------- */

/* Makes room for a record. */
static char *begin_record(struct printer *p, char *at)
{
	if (at <= p->buffer + BUFFER - RECORD_MAX)
		return at;
	if (!p->err)
		p->err = p->sink->put(p->sink->ctx, p->buffer, (size_t)(at - p->buffer));
	return p->buffer;
}

/* Inline, so that the length of a literal is known. */
static inline char *put(char *at, const char *text)
{
	return mempcpy(at, text, strlen(text));
}

#define TEN(front, end)                                                                            \
	front "0" end front "1" end front "2" end front "3" end front "4" end front "5" end front  \
	      "6" end front "7" end front "8" end front "9" end
#define FROM_10(front, end)                                                                        \
	TEN(front "1", end)                                                                        \
	TEN(front "2", end)                                                                        \
	TEN(front "3", end)                                                                        \
	TEN(front "4", end)                                                                        \
	TEN(front "5", end)                                                                        \
	TEN(front "6", end) TEN(front "7", end) TEN(front "8", end) TEN(front "9", end)
#define HUNDRED(front, end) TEN(front "0", end) FROM_10(front, end)
#define FROM_100(end)                                                                              \
	HUNDRED("1", end)                                                                          \
	HUNDRED("2", end)                                                                          \
	HUNDRED("3", end)                                                                          \
	HUNDRED("4", end)                                                                          \
	HUNDRED("5", end) HUNDRED("6", end) HUNDRED("7", end) HUNDRED("8", end) HUNDRED("9", end)

/* Of each number below 1,000 its three digits, and a point; and its digits without zeroes in front,
 * in four bytes of which the last one is how many they are. */
static const char three_digits[] = HUNDRED("0", ".") FROM_100(".");
static const char first_digits[] = TEN("", "\0\0\1") FROM_10("", "\0\2") FROM_100("\3");

/* Of a number below 1,000. */
static inline char *put_digits(char *at, uint64_t number)
{
	memcpy(at, &three_digits[4 * number], 4);
	return at + 3;
}

static inline char *put_first_digits(char *at, uint64_t number)
{
	uint32_t four;

	memcpy(&four, &first_digits[4 * number], sizeof(four));
	memcpy(at, &four, sizeof(four));
	return at + (four >> 24);
}

static char *put_number(char *at, uint64_t number)
{
	if (number < 1000)
		return put_first_digits(at, number);
	if (number < 1000000)
		at = put_first_digits(at, number / 1000);
	else
		at = put_number(at, number / 1000);
	return put_digits(at, number % 1000);
}

/* The eight digits of a number, the first one lowest. */
static uint64_t hex_digits(uint32_t number)
{
	uint64_t digits = number;

	digits = (digits | digits << 16) & 0x0000ffff0000ffff;
	digits = (digits | digits << 8) & 0x00ff00ff00ff00ff;
	digits = (digits | digits << 4) & 0x0f0f0f0f0f0f0f0f;
	/* a digit and 6 is more than 15 where it is a letter */
	digits += 0x3030303030303030 +
		  ((digits + 0x0606060606060606) >> 4 & 0x0101010101010101) * ('a' - '0' - 10);
	return __builtin_bswap64(digits);
}

static char *put_bare_hex(char *at, uint64_t number)
{
	uint64_t high = number >> 32, digits = hex_digits((uint32_t)number);
	unsigned nr = number ? (67u - (unsigned)__builtin_clzll(number)) / 4 : 1;

	at = high ? put_bare_hex(at, high) : put(at, "0x");
	nr = high ? sizeof(digits) : nr;
	digits >>= 8 * (sizeof(digits) - nr);
	memcpy(at, &digits, sizeof(digits));
	return at + nr;
}

/* As text, since JSON's numbers are no 64-bit ones. */
static char *put_hex(char *at, uint64_t number)
{
	return put(put_bare_hex(put(at, "\""), number), "\"");
}

/* The rest of a time in microseconds, of which `ns` are below 1,000 us. */
static inline char *put_micros(char *at, uint32_t ns)
{
	uint32_t us = ns / 1000;

	memcpy(at, &three_digits[4 * us], 4);
	return put_digits(at + 4, ns - 1000 * us);
}

/* As put_time(), in a millisecond that is another one than the last. */
static char *put_new_time(struct printer *p, char *at, uint64_t ns)
{
	uint64_t ms = ns / NS_PER_MS;
	uint32_t rest = (uint32_t)(ns % NS_PER_MS);

	if (!ms) /* no zeroes in front */
		return put_digits(put(put_first_digits(at, rest / 1000), "."), rest % 1000);
	p->ms_start = ns - rest;
	p->ms_len = (size_t)(put_number(p->ms_text, ms) - p->ms_text);
	return put_micros(mempcpy(at, p->ms_text, p->ms_len), rest);
}

/* In microseconds. Most times are in the same millisecond as the last one. */
static inline char *put_time(struct printer *p, char *at, uint64_t ns)
{
	uint64_t rest = ns - p->ms_start;

	if (rest >= NS_PER_MS)
		return put_new_time(p, at, ns);
	memcpy(at, p->ms_text, MS_MAX);
	return put_micros(at + p->ms_len, (uint32_t)rest);
}

/* The same of a duration; most are short. */
static inline char *put_duration(char *at, uint64_t ns)
{
	uint32_t us;

	if (ns >= NS_PER_MS)
		return put_micros(put_number(at, ns / NS_PER_MS), (uint32_t)(ns % NS_PER_MS));
	us = (uint32_t)ns / 1000;
	at = put(put_first_digits(at, us), ".");
	return put_digits(at, (uint32_t)ns - 1000 * us);
}

/* --- events ----------------------------------------------------------------------------------- */

static inline uint64_t ticks_to_ns(const struct printer *p, uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * p->ns_per_tick >> 32);
}

/* Rounded to what is printed: where one slice ends, the next may begin. */
static inline uint64_t ns_of(const struct printer *p, uint64_t tsc)
{
	return tsc < p->tsc ? 0 : ticks_to_ns(p, tsc - p->tsc);
}

static const char *call_name(uint64_t call)
{
	static const char *const names[] = {"hypercall", "register", "pin", "update", "flush"};

	return names[call < sizeof(names) / sizeof(names[0]) ? call : 0];
}

static const char *name_of(const struct trace_event *e)
{
	static const char *const names[TRACE_NR_KINDS] = {
		[TRACE_SYNC] = "sync",     [TRACE_FLUSH] = "host flushes TLBs",
		[TRACE_GRANT] = "granted", [TRACE_REFUSE] = "refused",
		[TRACE_PURGE] = "purge",   [TRACE_GUEST_FLUSH] = "flush of all TLBs",
	};
	static const char *const aliases[] = {"alias", "stale alias", "live alias",
					      "alias, let through"};
	static const char *const disk_names[] = {"read", "write", "flush"};

	switch (e->kind) {
	case TRACE_CALL:
		return call_name(e->a);
	case TRACE_ALIAS:
		return aliases[e->alias];
	case TRACE_UPCALL:
		if (e->alias == TRACE_ALIAS_LIVE)
			return "upcall: the guest purges, in vain";
		return e->b ? "upcall: the guest purges" : "upcall: nothing left to purge";
	case TRACE_VIOLATION:
	case TRACE_LOG_FAULT:
		return "violation";
	case TRACE_DISK:
		return disk_names[e->b];
	default:
		return names[e->kind];
	}
}

static char *put_frame(char *at, uint64_t pfn)
{
	return put_hex(put(at, "\"frame\":"), pfn);
}

static char *put_what(char *at, const struct trace_event *e)
{
	return put(put(put(at, ",\"what\":\""), e->what), "\"");
}

static char *put_args(char *at, const struct trace_event *e)
{
	switch (e->kind) {
	case TRACE_CALL:
		return put_number(put(at, "\"ops\":"), e->b);
	case TRACE_ALIAS:
		return put_hex(put(put_frame(at, e->a), ",\"va\":"), e->b);
	case TRACE_VIOLATION:
		at = put_hex(put(put_frame(at, e->a), ",\"va\":"), e->b);
		return put_what(at, e);
	case TRACE_LOG_FAULT:
		at = put_number(put(at, "\"log_of_vcpu\":"), e->a);
		return put_what(at, e);
	case TRACE_UPCALL:
		return put_number(put(put_frame(at, e->a), ",\"ptes_purged\":"), e->b);
	case TRACE_GRANT:
		return put_frame(at, e->a);
	case TRACE_REFUSE:
		return put_number(put(put_frame(at, e->a), ",\"status\":"), e->b);
	case TRACE_FLUSH:
		return e->a == UINT64_MAX ? at : put_frame(at, e->a);
	case TRACE_PURGE:
		at = put_number(put(at, "\"ptes_purged\":"), e->a);
		return e->b ? put_number(put(at, ",\"flushed_cpus\":"), e->b) : at;
	case TRACE_GUEST_FLUSH:
		return put_number(put(at, "\"cpus\":"), e->a);
	case TRACE_DISK:
		return put_number(put(at, "\"offset\":"), e->a);
	default:
		return at;
	}
}

static char *put_caller(const struct printer *p, char *at, uint64_t address)
{
	char name[TRACE_NAME_MAX];

	return put(at, p->names->caller(p->names->symbols, address, name));
}

static char *put_who(const struct printer *p, char *at, const struct trace_event *e)
{
	at = put_caller(p, put(at, ",\"mapped_by\":\""), e->a);
	at = put_number(put(at, "\",\"mapped_on_cpu\":"), e->origin.cpu);
	if (e->b) {
		at = put_caller(p, put(at, ",\"unmapped_by\":\""), e->b);
		at = put_number(put(at, "\",\"unmapped_on_cpu\":"), e->origin.unmapped_on);
	}
	return put(at, ",\"purges_ago\":");
}

/* The same few callers come again and again. */
static char *put_kept_who(struct printer *p, char *at, const struct trace_event *e)
{
	uint32_t cpu = e->origin.cpu, unmapped_on = e->origin.unmapped_on;
	struct who *who = &p->whos[(e->a + 3 * e->b + cpu + unmapped_on) % WHOS];

	if (!who->len || who->a != e->a || who->b != e->b || who->cpu != cpu ||
	    who->unmapped_on != unmapped_on) {
		who->len = (size_t)(put_who(p, who->text, e) - who->text);
		who->a = e->a;
		who->b = e->b;
		who->cpu = cpu;
		who->unmapped_on = unmapped_on;
	}
	return mempcpy(at, who->text, who->len);
}

/* Of an alias or a violation at `va`, whose event `e` follows: it may tell where that comes from.
 */
static char *put_origin(struct printer *p, char *at, const struct trace_event *e, uint64_t va)
{
	if (e->kind != TRACE_ORIGIN)
		return at;
	va = (va / ALIAS_PAGE_SIZE - e->origin.page) * ALIAS_PAGE_SIZE;
	at = put_hex(put(at, ",\"area_va\":"), va);
	at = put_number(put(at, ",\"pages\":"), e->nr_pages);
	at = put_number(put_kept_who(p, at, e), e->origin.purges_ago);
	return put_number(put(at, ",\"pins_ago\":"), e->origin.pins_ago);
}

static char *put_track(const struct printer *p, char *at)
{
	memcpy(at, p->track, TRACK_MAX);
	return at + p->track_len;
}

static char *put_name(const struct printer *p, char *at, const char *name)
{
	return put_track(p, put(put(at, ",\"name\":\""), name));
}

/* An arrow goes from the alias over the upcall, and the guest's purges in it, to the grant or the
 * refusal. */
static char *put_flow(struct printer *p, char *at, const struct trace_event *e)
{
	if (e->kind == TRACE_ALIAS)
		at = put(at, ",\n{\"ph\":\"s\"");
	else if (e->kind == TRACE_UPCALL || e->kind == TRACE_PURGE)
		at = put(at, ",\n{\"ph\":\"t\"");
	else
		at = put(at, ",\n{\"ph\":\"f\",\"bp\":\"e\"");
	at = put_name(p, put(at, ",\"cat\":\"alias\""), "alias");
	at = put_number(put(at, ",\"id\":"), e->flow);
	return put(put_time(p, put(at, ",\"ts\":"), ns_of(p, e->start)), "}");
}

/* Of a track the last purge with PTEs that ended by then. */
static const struct trace_event *search(struct search *s, const struct trace_track *track,
					uint64_t end)
{
	if (!s->nr && track->nr > TRACE_EVENTS)
		s->nr = track->nr - TRACE_EVENTS;
	for (; s->nr < track->nr; s->nr++) {
		const struct trace_event *e = &track->events[s->nr % TRACE_EVENTS];

		if (e->kind != TRACE_PURGE || !e->a)
			continue;
		if (e->end > end)
			break;
		s->purge = e;
	}
	return s->purge;
}

/* The upcall's own purge found nothing: the arrow goes on to the last one of another vCPU that
 * ended since the alias was met, which mended it. Upcalls of a track come in order, so each other
 * track is gone through once. Without memory there is no arrow. */
static char *put_mender(struct printer *p, char *at, const struct trace_event *upcall, uint64_t met)
{
	const struct trace_event *best = NULL;
	unsigned tid = 0;

	if (!p->searches)
		p->searches = calloc(p->trace->nr_vcpus + 1, sizeof(*p->searches));
	for (unsigned i = 1; p->searches && i <= p->trace->nr_vcpus; i++) {
		const struct trace_event *e =
			i == p->tid ? NULL
				    : search(&p->searches[i], &p->trace->tracks[i], upcall->end);

		if (e && e->end > met && (!best || e->end > best->end)) {
			best = e;
			tid = i;
		}
	}
	if (!best)
		return at;
	at = put(at, ",\n{\"ph\":\"t\",\"cat\":\"alias\",\"name\":\"alias\",\"pid\":1,\"tid\":");
	at = put_number(put(put_number(at, tid), ",\"id\":"), upcall->flow);
	/* in its slice, and after the alias, which it may have begun before */
	return put(put_time(p, put(at, ",\"ts\":"), ns_of(p, best->end) - 1), "}");
}

/* Requests of a disk overlap, so each is a slice of its own (an async one), by this id. */
static char *put_request(struct printer *p, char *at, const struct trace_event *e, uint64_t nr)
{
	for (unsigned end = 0; end < 2; end++) {
		at = put(at, end ? ",\n{\"ph\":\"e\"" : ",\n{\"ph\":\"b\"");
		at = put_name(p, put(at, ",\"cat\":\"disk\""), name_of(e));
		at = put_number(put(at, ",\"id\":\""), p->tid);
		at = put_number(put(at, "."), nr);
		at = put_args(put(at, "\",\"args\":{"), e);
		at = put_time(p, put(at, "},\"ts\":"), ns_of(p, end ? e->end : e->start));
		at = put(at, "}");
	}
	return at;
}

/* All of an exit's slice but its times. Where it went is part of its name: that is shorter than an
 * argument, and these are most of all slices. */
static char *put_exit_head(const struct printer *p, char *at, const struct trace_event *e)
{
	at = put(put(at, ",\n{\"ph\":\"X\",\"name\":\""), p->names->exit((uint32_t)e->a));
	if (e->a == KVM_EXIT_IO || e->a == KVM_EXIT_MMIO)
		at = put_bare_hex(put(at, " "), e->b);
	return put(put_track(p, at), ",\"ts\":");
}

/* All of another slice but its times, and a call's further arguments. `next` is the event that
 * follows, or NULL. */
static char *put_head(struct printer *p, char *at, const struct trace_event *e,
		      const struct trace_event *next)
{
	char *args;

	at = put_name(p, put(at, ",\n{\"ph\":\"X\""), name_of(e));
	args = put(at, ",\"args\":{");
	at = put_args(args, e);
	if (e->kind == TRACE_CALL)
		return at;
	if (next)
		at = put_origin(p, at, next, e->b);
	at = at == args ? args - strlen(",\"args\":{") : put(at, "}");
	return put(at, ",\"ts\":");
}

/* The same, for KEPT_KINDS. */
static char *put_kept_head(struct printer *p, char *at, const struct trace_event *e)
{
	struct head *head = &p->heads[(e->a + e->b + e->kind * 16u) % HEADS];

	if (head->kind != e->kind || head->a != e->a || head->b != e->b) {
		char *end = e->kind == TRACE_EXIT ? put_exit_head(p, head->text, e)
						  : put_head(p, head->text, e, NULL);

		head->len = (uint16_t)(end - head->text);
		head->a = e->a;
		head->b = e->b;
		head->kind = e->kind;
	}
	memcpy(at, head->text, HEAD_USUAL);
	if (head->len > HEAD_USUAL)
		memcpy(at, head->text, HEAD_MAX);
	return at + head->len;
}

static bool is_exit(const struct trace_event *e)
{
	return e->kind == TRACE_EXIT || e->kind == TRACE_CALL;
}

static bool takes_time(const struct trace_event *e)
{
	return e->kind != TRACE_VIOLATION && e->kind != TRACE_LOG_FAULT;
}

/* Those that are not in its head. */
static char *put_call_args(struct printer *p, char *at, const struct trace_event *e)
{
	if (e->sync)
		at = put_duration(put(at, ",\"sync_us\":"), ticks_to_ns(p, e->sync));
	if (e->alias)
		at = put_number(put(at, ",\"let_through\":"), e->alias);
	return put(at, "},\"ts\":");
}

static inline char *put_times(struct printer *p, char *at, uint64_t start, uint64_t end)
{
	return put_duration(put(put_time(p, at, start), ",\"dur\":"), end - start);
}

/* Of KEPT_KINDS. */
static inline char *put_kept(struct printer *p, char *at, const struct trace_event *e)
{
	at = put_kept_head(p, at, e);
	if (e->kind == TRACE_CALL)
		at = put_call_args(p, at, e);
	at = put_times(p, at, ns_of(p, e->start), ns_of(p, e->end));
	if (e->kind == TRACE_EXIT && e->nr > 1)
		at = put(put_number(put(at, ",\"args\":{\"exits\":"), e->nr), "}");
	at = put(at, "}");
	return !is_exit(e) && e->flow ? put_flow(p, at, e) : at;
}

/* Of the others that have a slice. */
static char *put_slice(struct printer *p, char *at, const struct trace_event *e,
		       const struct trace_event *next)
{
	uint64_t start = ns_of(p, e->start), end = takes_time(e) ? ns_of(p, e->end) : start;

	at = put(put_times(p, put_head(p, at, e, next), start, end), "}");
	return e->flow ? put_flow(p, at, e) : at;
}

/* --- tracks ----------------------------------------------------------------------------------- */

/* An upcall was raised within one exit and ended in another. As slices of a track must nest, it is
 * shown from the end of the first to the start of the second, whose event follows its own. */
static struct trace_event between_exits(const struct trace_track *track, uint64_t at,
					uint64_t first)
{
	struct trace_event e = track->events[at % TRACE_EVENTS];

	for (uint64_t i = at; i-- > first;) {
		const struct trace_event *exit = &track->events[i % TRACE_EVENTS];

		if (!is_exit(exit) || exit->start > e.start)
			continue;
		if (exit->end > e.start)
			e.start = exit->end;
		break;
	}
	for (uint64_t i = at + 1; i < track->nr; i++) {
		const struct trace_event *exit = &track->events[i % TRACE_EVENTS];

		if (!is_exit(exit))
			continue;
		if (exit->start < e.end)
			e.end = exit->start;
		break;
	}
	if (e.end < e.start)
		e.end = e.start;
	return e;
}

/* When the alias of an upcall was met. */
static uint64_t when_met(const struct trace_track *track, uint64_t at, uint64_t first)
{
	const struct trace_event *upcall = &track->events[at % TRACE_EVENTS];

	for (uint64_t i = at; i-- > first;) {
		const struct trace_event *e = &track->events[i % TRACE_EVENTS];

		if (e->kind == TRACE_ALIAS && e->flow == upcall->flow)
			return e->start;
	}
	return upcall->start;
}

static char *begin_track(struct printer *p, char *at, unsigned tid)
{
	at = begin_record(p, at);
	at = put(at, ",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":");
	at = put(put_number(at, tid), ",\"args\":{\"name\":\"");
	if (tid == 0)
		at = put(at, "host");
	else if (tid <= p->trace->nr_vcpus)
		at = put_number(put(at, "vCPU "), tid - 1);
	else
		at = put_number(put(at, "disk "), tid - 1 - p->trace->nr_vcpus);
	p->tid = tid;
	p->track_len = (size_t)(put_number(put(p->track, "\",\"pid\":1,\"tid\":"), tid) - p->track);
	for (unsigned i = 0; i < HEADS; i++)
		p->heads[i].kind = TRACE_NR_KINDS;
	free(p->searches);
	p->searches = NULL;
	return put(at, "\"}}");
}

static char *put_upcall(struct printer *p, char *at, const struct trace_track *track, uint64_t nr,
			uint64_t first)
{
	const struct trace_event *e = &track->events[nr % TRACE_EVENTS];
	struct trace_event shown = between_exits(track, nr, first);

	at = put_slice(p, at, &shown, NULL);
	if (!e->b && e->alias == TRACE_ALIAS_STALE)
		at = put_mender(p, at, e, when_met(track, nr, first));
	return at;
}

/* Of one that isn't of KEPT_KINDS. */
static char *put_other(struct printer *p, char *at, const struct trace_track *track, uint64_t nr,
		       uint64_t first)
{
	const struct trace_event *e = &track->events[nr % TRACE_EVENTS];

	switch (e->kind) {
	case TRACE_ALIAS:
	case TRACE_VIOLATION:
		return put_slice(p, at, e,
				 nr + 1 < track->nr ? &track->events[(nr + 1) % TRACE_EVENTS]
						    : NULL);
	case TRACE_LOG_FAULT:
		return put_slice(p, at, e, NULL);
	case TRACE_UPCALL:
		return put_upcall(p, at, track, nr, first);
	case TRACE_DISK:
		return put_request(p, at, e, nr);
	default: /* an origin is part of the event before it */
		return at;
	}
}

static char *put_events(struct printer *p, char *at, unsigned tid)
{
	const struct trace_track *track = &p->trace->tracks[tid];
	const struct trace_event *events = track->events;
	uint64_t first = track->nr > TRACE_EVENTS ? track->nr - TRACE_EVENTS : 0;

	at = begin_track(p, at, tid);
	for (uint64_t nr = first, end = track->nr; nr < end; nr++) {
		const struct trace_event *e = &events[nr % TRACE_EVENTS];

		at = begin_record(p, at);
		at = KEPT_KINDS >> e->kind & 1 ? put_kept(p, at, e)
					       : put_other(p, at, track, nr, first);
	}
	return at;
}

static uint64_t nr_lost(const struct trace *trace)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < trace_nr_tracks(trace); i++) {
		lost += trace->tracks[i].lost;
		if (trace->tracks[i].nr > TRACE_EVENTS)
			lost += trace->tracks[i].nr - TRACE_EVENTS;
	}
	return lost;
}

int trace_write(const struct trace *trace, const struct trace_names *names,
		const struct trace_sink *sink)
{
	uint64_t ns = now_ns() - trace->ns, ticks = __rdtsc() - trace->tsc;
	char buffer[BUFFER], *at = buffer;
	struct printer p = {.trace = trace,
			    .names = names,
			    .sink = sink,
			    .tsc = trace->tsc,
			    .ms_start = NO_MS,
			    .buffer = buffer};

	p.ns_per_tick = ticks ? (uint64_t)(((unsigned __int128)ns << 32) / ticks) + 1 : 0;
	at = put(at, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"events_lost\":");
	at = put_number(at, nr_lost(trace));
	at = put(at, "},\"traceEvents\":[\n{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,"
		     "\"args\":{\"name\":\"vmm\"}}");
	for (unsigned i = 0; i < trace_nr_tracks(trace) && !p.err; i++)
		at = put_events(&p, at, i);
	free(p.searches);
	at = put(at, "\n]}\n");
	return p.err ? p.err : sink->put(sink->ctx, buffer, (size_t)(at - buffer));
}

/* SPDX-License-Identifier: MIT */
/* The guest's records of its purges and flushes, as the trace takes them over. */
#include <errno.h>
#include <jansson.h>
#include <linux/kvm.h>
#include <string.h>
#include "fake_kvm.h"
#include "pin/guest_events.h"
#include "pin/internal.h"
#include "pin_guest.h"
#include "suites.h"
#include "trace.h"
#include "trace_json.h"

#define RECORDS_GPA 0x300000u

static int (*play_the_rest)(int fd, unsigned long request, void *arg);
static unsigned asked; /* how often for the offset of a TSC */
static bool lacks_offset;
static struct trace trace;

static int play_tsc(int fd, unsigned long request, void *arg)
{
	const struct kvm_device_attr *attr = arg;

	if (request != KVM_GET_DEVICE_ATTR)
		return play_the_rest(fd, request, arg);
	asked++;
	if (lacks_offset) {
		errno = ENXIO;
		return -1;
	}
	*(uint64_t *)attr->addr = 0;
	return 0;
}

static void set_up(void)
{
	guest_start();
	ck_assert_int_eq(trace_init(&trace, 1, 0), 0);
	guest.vcpu.track = trace_vcpu(&trace, 0);
	guest.pin->guest_events = true;
	guest.page->origins_gpa = RECORDS_GPA;
	play_the_rest = fake_kvm;
	fake_kvm = play_tsc;
	asked = 0;
	lacks_offset = false;
}

static void tear_down(void)
{
	guest_end();
	trace_free(&trace);
}

/* By a guest that has written so many records, of which this is the last. */
static void note(uint64_t nr, struct alias_origin record)
{
	struct alias_origin *records =
		memory_ptr(&guest.machine.vm.mem, RECORDS_GPA, ALIAS_ORIGINS * sizeof(*records));

	records[(nr - 1) % ALIAS_ORIGINS] = record;
	guest.page->nr_origins = nr;
}

static void note_purge(uint64_t nr)
{
	note(nr, (struct alias_origin){.start = 1, .end = 2, .kind = ALIAS_ORIGIN_PURGE});
}

static const struct trace_event *event(uint64_t nr)
{
	ck_assert_uint_lt(nr, guest.vcpu.track->nr);
	return &guest.vcpu.track->events[nr];
}

/* As when the vCPU has ended. */
static void take(void)
{
	guest_events_called(guest.pin, &guest.vcpu, guest.page);
	guest_events_take(guest.pin, &guest.vcpu);
}

static unsigned purges(void)
{
	unsigned nr = 0;

	for (uint64_t i = 0; i < guest.vcpu.track->nr; i++)
		nr += guest.vcpu.track->events[i].kind == TRACE_PURGE;
	return nr;
}

static int read_piece(void *ctx, const char *piece, size_t len)
{
	json_t **all = ctx;

	json_decref(*all);
	*all = json_loadb(piece, len, 0, NULL); /* few events are one piece */
	return 0;
}

static const char *no_exit(uint32_t reason)
{
	(void)reason;
	return "exit";
}

static bool is_json(void)
{
	const struct trace_names names = {.exit = no_exit};
	json_t *all = NULL;
	bool ok = trace_write(&trace, &names, &(struct trace_sink){read_piece, &all}) == 0 && all;

	json_decref(all);
	return ok;
}

START_TEST(an_offset_is_asked_for_once)
{
	lacks_offset = _i;
	note_purge(1);
	for (unsigned i = 0; i < 3; i++)
		guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	take();
	ck_assert_uint_eq(asked, 1);
	ck_assert_uint_eq(purges(), lacks_offset ? 0 : 1);
}
END_TEST

START_TEST(those_overwritten_are_lost)
{
	note_purge(ALIAS_ORIGINS + 7);
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	ck_assert_uint_eq(guest.vcpu.track->lost, 7);
	ck_assert_uint_eq(purges(), 1);
}
END_TEST

/* The guest may write anything. */
START_TEST(a_number_that_goes_down_loses_none)
{
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	note_purge(5);
	take();
	guest.page->nr_origins = 3;
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	ck_assert_uint_eq(guest.vcpu.track->lost, 0);
	note_purge(4);
	take();
	ck_assert_uint_eq(guest.vcpu.track->lost, 0);
	ck_assert_uint_eq(purges(), 2);
}
END_TEST

/* A purge from 10 to 20, whose flush takes the ticks from `start` to `end` after that. */
static struct alias_origin purge_with_flush(uint32_t start, uint32_t end)
{
	return (struct alias_origin){
		.start = 10,
		.end = 20,
		.nr_pages = 7,
		.kind = ALIAS_ORIGIN_PURGE,
		.cpus = 4,
		.flush_start = start,
		.flush_end = end,
	};
}

START_TEST(a_purge_tells_of_its_flush)
{
	note(1, purge_with_flush(2, 3));
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	ck_assert_uint_eq(guest.vcpu.track->nr, 2); /* before the call */
	ck_assert_uint_eq(event(0)->kind, TRACE_PURGE);
	ck_assert_uint_eq(event(0)->start, 10);
	ck_assert_uint_eq(event(0)->end, 20);
	ck_assert_uint_eq(event(0)->a, 7);
	ck_assert_uint_eq(event(0)->b, 4);
}
END_TEST

/* A guest's word of a flush that is not within the purge is not taken. */
START_TEST(in_an_upcall_its_flush_has_an_event)
{
	static const struct {
		uint32_t start, end;
		bool good;
	} flushes[] = {{2, 3, true}, {0, 10, true}, {3, 2, false}, {2, 11, false}};

	guest.pin->vcpus[0].retries[0] = (struct pin_retry){.flow = 5, .raised = 10};
	guest.pin->vcpus[0].nr_retries = 1;
	note(1, purge_with_flush(flushes[_i].start, flushes[_i].end));
	guest_events_called(guest.pin, &guest.vcpu, guest.page);
	ck_assert_uint_eq(guest.vcpu.track->nr, flushes[_i].good ? 2 : 1);
	if (flushes[_i].good) {
		ck_assert_uint_eq(event(0)->kind, TRACE_GUEST_FLUSH);
		ck_assert_uint_eq(event(0)->start, 10 + flushes[_i].start);
		ck_assert_uint_eq(event(0)->end, 10 + flushes[_i].end);
		ck_assert_uint_eq(event(0)->a, 4);
	}
	ck_assert_uint_eq(event(flushes[_i].good)->kind, TRACE_PURGE);
	ck_assert_uint_eq(event(flushes[_i].good)->flow, 5);
	ck_assert_uint_eq(event(flushes[_i].good)->b, flushes[_i].good ? 0 : 4);
}
END_TEST

START_TEST(another_flush_is_an_event_of_its_own)
{
	note(1, (struct alias_origin){.start = 2, .end = 3, .cpus = 4, .kind = ALIAS_ORIGIN_FLUSH});
	take();
	ck_assert_uint_eq(event(0)->kind, TRACE_GUEST_FLUSH);
	ck_assert_uint_eq(event(0)->start, 2);
	ck_assert_uint_eq(event(0)->end, 3);
	ck_assert_uint_eq(event(0)->a, 4);
}
END_TEST

/* A guest may claim anything: of a purge that was within the run, and no later than now, the trace
 * takes its word, whatever else is in the record. A purge that would take 2^32 ticks or more has no
 * room for the times of its flush. */
START_TEST(a_guest_that_lies)
{
	static const struct {
		uint64_t start, end;
		uint32_t flush_start, flush_end;
		bool taken, flush;
	} lies[] = {
		{20, 10, 0, 0, false, false},
		{10, UINT64_MAX, 0, 0, false, false},
		{UINT64_MAX - 1, UINT64_MAX, 0, 1, false, false},
		{UINT64_MAX, 10, 0, 1, false, false},
		{10, 20, UINT32_MAX, UINT32_MAX, true, false},
		{10, 20, UINT32_MAX, 0, true, false},
		{10, 10ull + UINT32_MAX, UINT32_MAX, UINT32_MAX, true, true},
		{10, 11ull + UINT32_MAX, 1, 2, true, false},
		{0, 0, 0, 0, true, true},
	};
	unsigned events = lies[_i].taken + lies[_i].flush;

	guest.pin->vcpus[0].retries[0] = (struct pin_retry){.flow = 5};
	guest.pin->vcpus[0].nr_retries = 1;
	note(1, (struct alias_origin){.start = lies[_i].start,
				      .end = lies[_i].end,
				      .nr_pages = UINT32_MAX,
				      .kind = ALIAS_ORIGIN_PURGE,
				      .cpus = UINT16_MAX,
				      .flush_start = lies[_i].flush_start,
				      .flush_end = lies[_i].flush_end});
	take();
	ck_assert_uint_eq(guest.vcpu.track->nr, events);
	if (lies[_i].flush)
		ck_assert_uint_eq(event(0)->a, UINT16_MAX);
	for (unsigned i = 0; i < events; i++) {
		ck_assert_uint_le(event(i)->start, event(i)->end);
		ck_assert_uint_le(event(i)->end, __rdtsc());
	}
	ck_assert(is_json());
}
END_TEST

START_TEST(an_unknown_kind_is_nothing)
{
	note(1, (struct alias_origin){.start = 1, .end = 2, .kind = UINT16_MAX});
	note(2, (struct alias_origin){.start = 1, .end = 2, .kind = ALIAS_ORIGIN_PURGE | 0x100});
	take();
	ck_assert_uint_eq(guest.vcpu.track->nr, 0);
}
END_TEST

/* As ring, anything; as number, any. */
START_TEST(a_ring_that_is_none)
{
	static const uint64_t rings[] = {1, 4, UINT64_MAX - 7, 4ull << 20, (4ull << 20) - 4096};

	guest.page->origins_gpa = rings[_i % 5];
	for (uint64_t nr = 1; nr; nr <<= 9) {
		guest.page->nr_origins = nr - (_i >= 5);
		take();
		ck_assert_uint_eq(guest.vcpu.track->nr, 0);
	}
	ck_assert(is_json());
}
END_TEST

/* --- a call's sync ---------------------------------------------------------------------------- */

static unsigned syncs(void)
{
	const struct trace_track *host = trace_host(&trace);
	unsigned nr = 0;

	for (uint64_t i = 0; i < host->nr; i++)
		nr += host->events[i].kind == TRACE_SYNC;
	return nr;
}

START_TEST(a_call_tells_of_its_sync)
{
	guest.pin->track_host = trace_host(&trace);
	guest_ask(DATA, ALIAS_OP_PIN, 1);
	ck_assert_uint_eq(event(0)->kind, TRACE_CALL);
	ck_assert_uint_gt(event(0)->sync, 0);
	ck_assert_uint_eq(syncs(), 0);
	guest.pin->tracks = false; /* nothing is synced */
	guest_ask(DATA, ALIAS_OP_UNPIN, 0);
	ck_assert_uint_eq(event(1)->kind, TRACE_CALL);
	ck_assert_uint_eq(event(1)->sync, 0);
}
END_TEST

START_TEST(with_an_upcall_a_sync_is_an_event)
{
	guest.pin->track_host = trace_host(&trace);
	guest_map(W(DATA));
	ck_assert_uint_eq(guest_ask_with(DATA, ALIAS_OP_PIN, 1, ALIAS_BATCH_UPCALL), ALIAS_PENDING);
	ck_assert_uint_eq(syncs(), 1);
	guest_map(0);
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_OK);
	ck_assert_uint_eq(syncs(), 2);
	for (uint64_t i = 0; i < guest.vcpu.track->nr; i++)
		ck_assert(event(i)->kind != TRACE_CALL || event(i)->sync == 0);
}
END_TEST

/* Long before they are overwritten. */
START_TEST(few_records_wait)
{
	for (uint64_t nr = 1; nr <= ALIAS_ORIGINS / 2; nr++) {
		note_purge(nr);
		guest_events_called(guest.pin, &guest.vcpu, guest.page);
	}
	ck_assert_uint_eq(guest.vcpu.track->lost, 0);
	ck_assert_uint_gt(purges(), ALIAS_ORIGINS / 4);
	take();
	ck_assert_uint_eq(purges(), ALIAS_ORIGINS / 2);
}
END_TEST

TCase *guest_events_tests(void)
{
	TCase *tc = tcase_create("guest-events");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, an_offset_is_asked_for_once, 0, 2);
	tcase_add_test(tc, those_overwritten_are_lost);
	tcase_add_test(tc, a_number_that_goes_down_loses_none);
	tcase_add_test(tc, a_purge_tells_of_its_flush);
	tcase_add_loop_test(tc, in_an_upcall_its_flush_has_an_event, 0, 4);
	tcase_add_test(tc, another_flush_is_an_event_of_its_own);
	tcase_add_loop_test(tc, a_guest_that_lies, 0, 9);
	tcase_add_test(tc, an_unknown_kind_is_nothing);
	tcase_add_loop_test(tc, a_ring_that_is_none, 0, 10);
	tcase_add_test(tc, a_call_tells_of_its_sync);
	tcase_add_test(tc, with_an_upcall_a_sync_is_an_event);
	tcase_add_test(tc, few_records_wait);
	return tc;
}

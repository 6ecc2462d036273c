/* SPDX-License-Identifier: MIT */
/* A trace as text: each time is a number of JSON, and the one that was recorded. */
#include "trace_json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "suites.h"
#include "trace.h"

#define AGO (1ull << 41) /* when the trace began, in ticks and ns */

static struct trace trace;
static struct trace_track *track;
static char text[1u << 20];
static size_t text_len;
static json_t *events;

static int keep(void *ctx, const char *piece, size_t len)
{
	(void)ctx;
	ck_assert_uint_lt(text_len + len, sizeof(text));
	memcpy(text + text_len, piece, len);
	text_len += len;
	return 0;
}

/* A tick takes a nanosecond, but for what goes by between the two clocks. */
static void set_up_with(unsigned nr_vcpus)
{
	ck_assert_int_eq(trace_init(&trace, nr_vcpus, 0), 0);
	track = trace_host(&trace);
	trace.tsc = __rdtsc() - AGO;
	trace.ns = now_ns() - AGO;
	text_len = 0;
	events = NULL;
}

static void set_up(void)
{
	set_up_with(0);
}

static void tear_down(void)
{
	json_decref(events);
	trace_free(&trace);
}

static void add_event(enum trace_kind kind, uint64_t from, uint64_t to, uint64_t b, uint32_t sync)
{
	trace_record(track, &(struct trace_event){.kind = (uint16_t)kind,
						  .start = trace.tsc + from,
						  .end = trace.tsc + to,
						  .a = 2,
						  .b = b,
						  .sync = sync});
}

static void write_text(void)
{
	const struct trace_names names = {0};
	json_t *all;

	ck_assert_int_eq(trace_write(&trace, &names, &(struct trace_sink){keep, NULL}), 0);
	all = json_loadb(text, text_len, 0, NULL);
	ck_assert_ptr_nonnull(all);
	events = json_incref(json_object_get(all, "traceEvents"));
	json_decref(all);
}

/* The slice of the track's event of this number; two records that name things come first. */
static const json_t *slice(size_t nr)
{
	const json_t *found = json_array_get(events, 2 + nr);

	ck_assert_str_eq(json_string_value(json_object_get(found, "ph")), "X");
	return found;
}

static uint64_t ns_in(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	ck_assert(json_is_real(value));
	return (uint64_t)llround(json_real_value(value) * 1000);
}

/* How much the two clocks differ is not known; less than a second in AGO. */
static void check_ns(uint64_t found, uint64_t want)
{
	uint64_t differ = found > want ? found - want : want - found;

	ck_assert_msg(differ <= 1 + want / 2048, "%lu, not %lu", found, want);
}

/* Around each power of ten, and of what is kept from one time to the next. */
START_TEST(times_are_those_recorded)
{
	uint64_t times[200], nr = 0, before = 0;

	for (uint64_t power = 1; power < AGO; power *= 10)
		for (uint64_t i = 1; i <= 9; i += 4) {
			times[nr++] = power * i - 1;
			times[nr++] = power * i;
			times[nr++] = power * i + power / 1000;
		}
	for (unsigned i = 0; i < nr; i++)
		add_event(TRACE_SYNC, times[i], times[i] + times[(i * 7) % nr], 0, 0);
	write_text();
	for (unsigned i = 0; i < nr; i++) {
		uint64_t start = ns_in(slice(i), "ts");

		check_ns(start, times[i]);
		check_ns(ns_in(slice(i), "dur"), times[(i * 7) % nr]);
		ck_assert(before <= start || times[i] < times[i - 1]);
		before = start;
	}
}
END_TEST

/* As slices must nest, times are not rounded one by one. */
START_TEST(a_slice_begins_where_the_last_one_ends)
{
	uint64_t start = 990000, end;

	for (unsigned i = 0; i < 2000; i++, start = end) {
		end = start + 1 + (i * 7919ull) % 2003;
		add_event(TRACE_SYNC, start, end, 0, 0);
	}
	write_text();
	for (unsigned i = 1; i < 2000; i++)
		ck_assert_uint_eq(ns_in(slice(i - 1), "ts") + ns_in(slice(i - 1), "dur"),
				  ns_in(slice(i), "ts"));
}
END_TEST

/* All but its ops differs from call to call. */
START_TEST(a_call_has_its_own_sync)
{
	static const struct {
		unsigned ops, sync;
	} calls[] = {{1, 0}, {1, 70000}, {128, 999}, {1, 1234567}, {128, 0}};
	const size_t nr = sizeof(calls) / sizeof(calls[0]);

	for (size_t i = 0; i < nr; i++)
		add_event(TRACE_CALL, 100 * i, 100 * i + 50, calls[i].ops, calls[i].sync);
	write_text();
	for (size_t i = 0; i < nr; i++) {
		const json_t *args = json_object_get(slice(i), "args");

		ck_assert_uint_eq(json_integer_value(json_object_get(args, "ops")), calls[i].ops);
		ck_assert_uint_eq(json_object_size(args), calls[i].sync ? 2 : 1);
		if (calls[i].sync)
			check_ns(ns_in(args, "sync_us"), calls[i].sync);
		check_ns(ns_in(slice(i), "dur"), 50);
	}
}
END_TEST

/* Of vCPU 0 and 1: their tracks are 1 and 2. */
static void add_to(unsigned vcpu, struct trace_event event)
{
	event.start += trace.tsc;
	event.end += trace.tsc;
	trace_record(trace_vcpu(&trace, vcpu), &event);
}

/* The arrow's part of this number, of those that are on a track other than vCPU 1's. */
static const json_t *step_elsewhere(size_t nr)
{
	const json_t *e;
	size_t i;

	json_array_foreach(events, i,
			   e) if (!strcmp(json_string_value(json_object_get(e, "ph")), "t") &&
				  json_integer_value(json_object_get(e, "tid")) != 2 &&
				  nr-- == 0) return e;
	return NULL;
}

static bool has_slice(const char *name)
{
	const json_t *e;
	size_t i;

	json_array_foreach(events, i, e) if (!strcmp(json_string_value(json_object_get(e, "name")),
						     name)) return true;
	return false;
}

/* An alias of vCPU 1 is met at 1000 us and its upcall answered at 3000, while vCPU 0 purges. A
 * nanosecond has four ticks. */
static void play_upcall(uint64_t ptes)
{
	const uint64_t us = 4000;

	trace_free(&trace);
	set_up_with(2);
	trace.ns += AGO - AGO / 4;
	add_to(0, (struct trace_event){
			  .kind = TRACE_PURGE, .start = 100 * us, .end = 900 * us, .a = 3});
	add_to(0, (struct trace_event){
			  .kind = TRACE_PURGE, .start = 950 * us, .end = 2000 * us, .a = 5});
	add_to(0, (struct trace_event){.kind = TRACE_PURGE, .start = 2100 * us, .end = 2200 * us});
	add_to(0, (struct trace_event){
			  .kind = TRACE_PURGE, .start = 2900 * us, .end = 3100 * us, .a = 2});
	add_to(1, (struct trace_event){.kind = TRACE_ALIAS,
				       .alias = TRACE_ALIAS_STALE,
				       .start = 1000 * us,
				       .end = 1000 * us,
				       .flow = 1});
	add_to(1, (struct trace_event){.kind = TRACE_UPCALL,
				       .alias = TRACE_ALIAS_STALE,
				       .start = 1100 * us,
				       .end = 3000 * us,
				       .b = ptes,
				       .flow = 1});
	write_text();
}

START_TEST(an_arrow_goes_to_the_purge_of_another_vcpu)
{
	const json_t *step, *purge;

	play_upcall(0);
	step = step_elsewhere(0);
	purge = slice(2); /* the second one: a third record names the track */
	ck_assert_ptr_nonnull(step);
	ck_assert_int_eq(json_integer_value(json_object_get(step, "tid")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(step, "id")), 1);
	check_ns(ns_in(step, "ts"), 1999999);
	ck_assert_uint_lt(ns_in(step, "ts"), ns_in(purge, "ts") + ns_in(purge, "dur"));
	ck_assert_ptr_null(step_elsewhere(1));
	ck_assert(has_slice("upcall: nothing left to purge"));
}
END_TEST

START_TEST(an_upcall_that_purges_needs_no_other)
{
	play_upcall(4);
	ck_assert_ptr_null(step_elsewhere(0));
	ck_assert(has_slice("upcall: the guest purges"));
}
END_TEST

TCase *trace_json_tests(void)
{
	TCase *tc = tcase_create("trace-json");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, times_are_those_recorded);
	tcase_add_test(tc, a_slice_begins_where_the_last_one_ends);
	tcase_add_test(tc, a_call_has_its_own_sync);
	tcase_add_test(tc, an_arrow_goes_to_the_purge_of_another_vcpu);
	tcase_add_test(tc, an_upcall_that_purges_needs_no_other);
	return tc;
}

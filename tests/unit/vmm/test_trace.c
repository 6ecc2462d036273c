/* SPDX-License-Identifier: MIT */
/* Events of a trace, as they become parts of others. */
#include "trace.h"

#include <linux/kvm.h>
#include "suites.h"

#define PORT 0x3f8u

static struct trace trace;
static struct trace_track *track;

static void set_up(void)
{
	ck_assert_int_eq(trace_init(&trace, 0, 0), 0);
	track = trace_host(&trace);
}

static void tear_down(void)
{
	trace_free(&trace);
}

/* An exit right after the last, however slow the machine is. */
static void add_exit(uint32_t reason, uint64_t address)
{
	trace_exit(track, track->nr ? track->events[track->nr - 1].end : __rdtsc(), reason,
		   address);
}

START_TEST(exits_for_a_port_are_one_event)
{
	add_exit(KVM_EXIT_IO, PORT);
	add_exit(KVM_EXIT_IO, PORT);
	add_exit(KVM_EXIT_IO, PORT);
	ck_assert_uint_eq(track->nr, 1);
	ck_assert_uint_eq(track->events[0].nr, 3);
}
END_TEST

START_TEST(exits_for_two_ports_are_two)
{
	add_exit(KVM_EXIT_IO, PORT);
	add_exit(KVM_EXIT_IO, PORT + 1);
	ck_assert_uint_eq(track->nr, 2);
}
END_TEST

/* A purge between two exits is recorded after them, at a hypercall. Slices of a track nest: none
 * begins within an earlier one and ends behind it. */
START_TEST(a_purge_around_the_second_exit_nests)
{
	struct trace_event purge = {.kind = TRACE_PURGE};

	add_exit(KVM_EXIT_INTR, 0);
	purge.start = track->events[0].end;
	add_exit(KVM_EXIT_INTR, 0);
	purge.end = __rdtsc();
	trace_record(track, &purge);
	ck_assert_uint_eq(track->nr, 3);
	ck_assert_uint_le(track->events[0].end, purge.start);
	ck_assert_uint_ge(track->events[1].start, purge.start);
}
END_TEST

TCase *trace_tests(void)
{
	TCase *tc = tcase_create("trace");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, exits_for_a_port_are_one_event);
	tcase_add_test(tc, exits_for_two_ports_are_two);
	tcase_add_test(tc, a_purge_around_the_second_exit_nests);
	return tc;
}

/* SPDX-License-Identifier: MIT */
/* The guest's records of its purges and flushes, as the trace takes them over. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include "fake_kvm.h"
#include "pin_guest.h"
#include "suites.h"
#include "trace.h"

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

static unsigned purges(void)
{
	unsigned nr = 0;

	for (uint64_t i = 0; i < guest.vcpu.track->nr; i++)
		nr += guest.vcpu.track->events[i].kind == TRACE_PURGE;
	return nr;
}

START_TEST(an_offset_is_asked_for_once)
{
	lacks_offset = _i;
	note_purge(1);
	for (unsigned i = 0; i < 3; i++)
		guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
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
	note_purge(5);
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	guest.page->nr_origins = 3;
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	ck_assert_uint_eq(guest.vcpu.track->lost, 0);
	note_purge(4);
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	ck_assert_uint_eq(guest.vcpu.track->lost, 0);
	ck_assert_uint_eq(purges(), 2);
}
END_TEST

START_TEST(a_purge_tells_of_its_flush)
{
	note(1, (struct alias_origin){
			.start = 2, .end = 3, .nr_pages = 4, .kind = ALIAS_ORIGIN_FLUSH});
	note(2, (struct alias_origin){
			.start = 1, .end = 5, .nr_pages = 7, .kind = ALIAS_ORIGIN_PURGE});
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	ck_assert_uint_eq(guest.vcpu.track->nr, 2); /* and the call */
	ck_assert_uint_eq(event(0)->kind, TRACE_PURGE);
	ck_assert_uint_eq(event(0)->start, 1);
	ck_assert_uint_eq(event(0)->a, 7);
	ck_assert_uint_eq(event(0)->b, 4);
}
END_TEST

START_TEST(an_earlier_flush_is_an_event_of_its_own)
{
	note(1, (struct alias_origin){
			.start = 2, .end = 3, .nr_pages = 4, .kind = ALIAS_ORIGIN_FLUSH});
	note(2, (struct alias_origin){
			.start = 3, .end = 5, .nr_pages = 7, .kind = ALIAS_ORIGIN_PURGE});
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	ck_assert_uint_eq(event(0)->kind, TRACE_GUEST_FLUSH);
	ck_assert_uint_eq(event(1)->kind, TRACE_PURGE);
	ck_assert_uint_eq(event(1)->b, 0);
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
	tcase_add_test(tc, an_earlier_flush_is_an_event_of_its_own);
	return tc;
}

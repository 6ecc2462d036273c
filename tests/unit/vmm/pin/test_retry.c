/* SPDX-License-Identifier: MIT */
/* Ops that have had an upcall: which call is a second try, and which is a new one. */
#include <check.h>
#include "pin_figure.h"
#include "pin_guest.h"
#include "suites.h"

/* Tables that are compared, and tables that are write-protected. */
static const enum track_mode track_modes[] = {TRACK_SCAN, TRACK_STRICT};

/* A frame whose alias is gone, while the flush that covers it is on its way. */
static enum alias_status ask_during_flush(void)
{
	guest_start_track(TRACK_SCAN);
	guest_map(W(DATA));
	guest_ask(DATA, ALIAS_OP_PIN, 1);
	common_page(&guest.machine)->cleared++;
	guest_frame(L1)[5] = 0;
	return guest_ask_with(DATA, ALIAS_OP_PIN, 1, ALIAS_BATCH_WAIT);
}

START_TEST(a_flush_under_way_is_waited_for)
{
	ck_assert_uint_eq(ask_during_flush(), ALIAS_PENDING);
	ck_assert_uint_eq(guest.raised, 1);
	ck_assert_uint_eq(guest.page->fault.pfn, DATA);
	ck_assert_uint_eq(guest.page->fault.nr, 0);
	common_page(&guest.machine)->flushed = common_page(&guest.machine)->cleared;
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_OK);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.waits"), 1);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.host_flushes"), 0);
	guest_end();
}
END_TEST

START_TEST(a_flush_that_does_not_come_is_waited_for_once)
{
	ck_assert_uint_eq(ask_during_flush(), ALIAS_PENDING);
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_OK);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.waits"), 1);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.host_flushes"), 1);
	guest_end();
}
END_TEST

static enum alias_status ask_for_pin(void)
{
	return guest_ask_with(DATA, ALIAS_OP_PIN, 1, ALIAS_BATCH_UPCALL);
}

/* Whatever became of the handlers before: what was asked and never came again is no second try. */
START_TEST(a_new_call_has_its_own_upcall)
{
	guest_start_track(track_modes[_i]);
	guest_map(W(DATA));
	for (unsigned i = 0; i < 3 * RETRIES_MAX; i++) {
		ck_assert_uint_eq(ask_for_pin(), ALIAS_PENDING);
		ck_assert_uint_eq(guest.raised, i + 1);
		guest.rip += i % 2;
	}
	guest.rip += 100; /* not even if the guest says nothing */
	guest.page->call_status = ALIAS_OK;
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_PENDING);
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_HAS_ALIAS);
	ck_assert_int_eq(transition_figure("pin", "refused"), 1);
	guest_end();
}
END_TEST

/* The handler asks for the same, and has an upcall and a refusal of its own. */
START_TEST(a_call_in_a_handler_has_its_own_upcall)
{
	guest_start_track(track_modes[_i]);
	guest_map(W(DATA));
	ck_assert_uint_eq(ask_for_pin(), ALIAS_PENDING);
	ck_assert_uint_eq(ask_for_pin(), ALIAS_PENDING);
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_HAS_ALIAS);
	guest.page->ops[0].status = ALIAS_PENDING;
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_HAS_ALIAS);
	ck_assert_uint_eq(guest.raised, 2);
	/* Nothing is kept of either. */
	guest.page->ops[0].status = ALIAS_PENDING;
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_PENDING);
	ck_assert_uint_eq(guest.raised, 3);
	guest_end();
}
END_TEST

/* Another op on the same frame, in the place of the one that had the upcall. */
START_TEST(another_op_has_its_own_upcall)
{
	guest_start_track(track_modes[_i]);
	guest_map(W(DATA));
	ck_assert_uint_eq(ask_for_pin(), ALIAS_PENDING);
	guest.page->ops[0].op = ALIAS_OP_INFLATE;
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_PENDING);
	ck_assert_uint_eq(guest.raised, 2);
	guest_end();
}
END_TEST

TCase *retry_tests(void)
{
	TCase *tc = tcase_create("retries");

	tcase_add_test(tc, a_flush_under_way_is_waited_for);
	tcase_add_test(tc, a_flush_that_does_not_come_is_waited_for_once);
	tcase_add_loop_test(tc, a_new_call_has_its_own_upcall, 0, 2);
	tcase_add_loop_test(tc, a_call_in_a_handler_has_its_own_upcall, 0, 2);
	tcase_add_loop_test(tc, another_op_has_its_own_upcall, 0, 2);
	return tc;
}

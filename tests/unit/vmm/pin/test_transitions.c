/* SPDX-License-Identifier: MIT */
/* Frames that become page tables, memory of another type, or are ballooned: what the hypercall
 * answers. */
#include <check.h>
#include "pin_figure.h"
#include "pin_guest.h"
#include "stop.h"
#include "suites.h"
#include "trace.h"

#define ORIGINS_GPA 0x300000u

/* Tables that are compared, and tables that are write-protected. */
static const enum track_mode track_modes[] = {TRACK_SCAN, TRACK_STRICT};

START_TEST(requests_are_checked)
{
	static const struct {
		enum alias_opcode op;
		uint64_t pfn;
		unsigned arg;
		enum alias_status status;
	} asked[] = {
		{ALIAS_OP_MEMTYPE, DATA, 8, ALIAS_BAD_MEMTYPE},
		{ALIAS_OP_MEMTYPE, DATA, 0xffff, ALIAS_BAD_MEMTYPE},
		{ALIAS_OP_MEMTYPE, 1ull << 40, 1, ALIAS_BAD_FRAME},
		{ALIAS_OP_INFLATE, UINT64_MAX, 0, ALIAS_BAD_FRAME},
		{ALIAS_OP_DEFLATE, UINT64_MAX, 0, ALIAS_BAD_FRAME},
		{ALIAS_OP_MEMTYPE, SHARED_GPA / PAGE, 1, ALIAS_BAD_FRAME},
		{ALIAS_OP_INFLATE, SHARED_GPA / PAGE + 1, 0, ALIAS_BAD_FRAME},
		{ALIAS_OP_MEMTYPE, ROOT, 1, ALIAS_BAD_STATE},
		{ALIAS_OP_INFLATE, L1, 0, ALIAS_BAD_STATE},
		{ALIAS_OP_DEFLATE, DATA, 0, ALIAS_BAD_STATE},
		{ALIAS_OP_MEMTYPE, DATA, 3, ALIAS_OK},
		{ALIAS_OP_MEMTYPE, DATA, 7, ALIAS_OK},
		{ALIAS_OP_INFLATE, DATA, 0, ALIAS_BAD_STATE},
		{ALIAS_OP_PIN, DATA, 1, ALIAS_BAD_STATE},
		{ALIAS_OP_MEMTYPE, DATA, 0, ALIAS_OK},
		{ALIAS_OP_INFLATE, DATA, 0xffff, ALIAS_OK},
		{ALIAS_OP_INFLATE, DATA, 0, ALIAS_IS_BALLOONED},
		{ALIAS_OP_MEMTYPE, DATA, 1, ALIAS_IS_BALLOONED},
		{ALIAS_OP_PIN, DATA, 1, ALIAS_IS_BALLOONED},
		{ALIAS_OP_UNPIN, DATA, 1, ALIAS_BAD_STATE},
		{ALIAS_OP_DEFLATE, DATA, 0, ALIAS_OK},
		{ALIAS_OP_PIN, DATA, 1, ALIAS_OK},
		{ALIAS_OP_UNPIN, DATA, 1, ALIAS_OK},
		{(enum alias_opcode)6, DATA, 1, ALIAS_BAD_OP},
	};

	for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		ck_assert_msg(guest_ask(asked[i].pfn, asked[i].op, asked[i].arg) == asked[i].status,
			      "request %u: %u", i, guest.page->ops[0].status);
	ck_assert_int_eq(transition_figure("memtype", "requests"), 9);
	ck_assert_int_eq(transition_figure("memtype", "granted"), 3);
	ck_assert_int_eq(transition_figure("inflate", "requests"), 6);
	ck_assert_int_eq(transition_figure("inflate", "refused"), 5);
	ck_assert_int_eq(transition_figure("deflate", "granted"), 1);
	ck_assert_int_eq(transition_figure("deflate", "refused"), 2);
	ck_assert_int_eq(transition_figure("pin", "requests"), 4 + 3);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.violations"), 0);
}
END_TEST

static const struct {
	const char *name; /* in the statistics */
	enum alias_opcode op;
	unsigned arg;
	uint64_t in_the_way, not_in_the_way; /* entries; 0: all are */
	enum alias_status forbidden;         /* what a store of such an entry is answered */
} ops[] = {
	{"pin", ALIAS_OP_PIN, 1, W(DATA), R(DATA), ALIAS_MAPS_TABLE},
	{"memtype", ALIAS_OP_MEMTYPE, 1, R(DATA), W(DATA) | PTE_PWT, ALIAS_MEMTYPE_CONFLICT},
	{"inflate", ALIAS_OP_INFLATE, 0, R(DATA), 0, ALIAS_MAPS_BALLOONED},
};

#define NR_OPS ((int)(sizeof(ops) / sizeof(ops[0])))

/* Once; the mapping goes, and the same call is granted. */
START_TEST(a_stale_alias_traps)
{
	enum alias_opcode op = ops[_i % NR_OPS].op;
	const char *name;

	guest_start_track(track_modes[_i / NR_OPS]);
	name = ops[_i % NR_OPS].name;
	guest_frame(DATA)[0] = 0x1234;
	guest_map(ops[_i % NR_OPS].in_the_way);
	ck_assert_uint_eq(guest_ask_with(DATA, op, ops[_i % NR_OPS].arg, ALIAS_BATCH_UPCALL),
			  ALIAS_PENDING);
	ck_assert_uint_eq(guest.raised, 1);
	ck_assert_uint_eq(guest.page->fault.pfn, DATA);
	ck_assert_uint_eq(guest.page->fault.nr, 1);
	ck_assert_uint_eq(guest.page->fault.va[0], MAPPED_AT);
	ck_assert_uint_eq(guest_frame(DATA)[0], 0x1234);
	guest_map(0);
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_OK);
	ck_assert_int_eq(transition_figure(name, "aliases_met"), 1);
	ck_assert_int_eq(transition_figure(name, "upcalls"), 1);
	ck_assert_int_eq(transition_figure(name, "upcalls_resolved"), 1);
	ck_assert_uint_eq(guest_frame(DATA)[0], op == ALIAS_OP_INFLATE ? 0 : 0x1234);
	guest_end();
}
END_TEST

START_TEST(a_live_alias_refuses)
{
	enum alias_opcode op = ops[_i % NR_OPS].op;
	unsigned arg = ops[_i % NR_OPS].arg;
	const char *name;

	guest_start_track(track_modes[_i / NR_OPS]);
	name = ops[_i % NR_OPS].name;
	guest_frame(DATA)[0] = 0x1234;
	guest_map(ops[_i % NR_OPS].in_the_way);
	guest_ask_with(DATA, op, arg, ALIAS_BATCH_UPCALL);
	guest_call_again(ALIAS_CALL_PIN);
	ck_assert_uint_eq(guest.page->ops[0].status, ALIAS_HAS_ALIAS);
	ck_assert_uint_eq(guest.raised, 1);
	ck_assert_uint_eq(guest.page->fault.va[0], MAPPED_AT);
	ck_assert_int_eq(transition_figure(name, "refused"), 1);
	ck_assert_int_eq(transition_figure(name, "upcalls_resolved"), 0);
	ck_assert_uint_eq(guest_frame(DATA)[0], 0x1234);
	if (ops[_i % NR_OPS].not_in_the_way) {
		guest_map(ops[_i % NR_OPS].not_in_the_way);
		ck_assert_uint_eq(guest_ask(DATA, op, arg), ALIAS_OK);
	}
	guest_end();
}
END_TEST

/* What is mapped after the grant as it must not be is reported, or prevented. */
START_TEST(a_later_mapping_is_a_violation)
{
	bool strict = track_modes[_i / NR_OPS] == TRACK_STRICT;

	guest_start_track(track_modes[_i / NR_OPS]);
	ck_assert_uint_eq(guest_ask(DATA, ops[_i % NR_OPS].op, ops[_i % NR_OPS].arg), ALIAS_OK);
	if (ops[_i % NR_OPS].not_in_the_way) {
		guest_map(ops[_i % NR_OPS].not_in_the_way);
		guest_ask(DATA + 1, ALIAS_OP_DEFLATE, 0); /* some call: the host syncs */
		ck_assert_int_eq(pin_figure(guest.pin, "pins.violations"), 0);
	}
	guest_map(ops[_i % NR_OPS].in_the_way);
	guest_ask(DATA + 1, ALIAS_OP_DEFLATE, 0);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.violations"), 1);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.stores_refused"), strict);
	if (strict)
		ck_assert_uint_eq(guest.page->update_status[0], ops[_i % NR_OPS].forbidden);
	guest_end();
}
END_TEST

/* Two entries in one store, of which the second is refused: the first was, and stays, a mapping
 * that would be refused by now. What is known of its frame stays true all the same. */
START_TEST(a_store_that_is_taken_back)
{
	struct change changes[] = {{.pte_gpa = L1 * PAGE + 5 * 8},
				   {.pte_gpa = L1 * PAGE + 6 * 8, .pte = W(L1)}};
	struct batch batch = {.vcpu = &guest.vcpu};

	guest_start_with(TRACK_STRICT, ALIAS_FLUSH_NONE);
	guest_map(W(DATA));
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_PIN, 1), ALIAS_OK);
	guest.let_through = 1;
	batch.pin = guest.pin;
	batch.page = guest.page;
	ck_assert_int_eq(change_entries(&batch, changes, 2), SERVED);
	ck_assert_uint_eq(changes[0].status, ALIAS_MAPS_TABLE);
	ck_assert_uint_eq(guest_frame(L1)[5] >> 12, DATA);
	ck_assert_uint_eq(guest_frame(L1)[6], 0);
	ck_assert_uint_eq(at_oracle(guest.pin->at, DATA, NULL, 0), 1);
	ck_assert(at_has_alias(guest.pin->at, DATA));
	guest_end();
}
END_TEST

static unsigned let_through_events(void)
{
	unsigned nr = 0;

	for (uint64_t i = 0; i < guest.vcpu.track->nr; i++)
		nr += guest.vcpu.track->events[i].alias == TRACE_ALIAS_LET_THROUGH &&
		      guest.vcpu.track->events[i].kind == TRACE_ALIAS;
	return nr;
}

/* Whatever else stops the transition, an alias that was only in the way of it is none that was let
 * through. */
START_TEST(an_alias_is_let_through_with_a_grant)
{
	const char *name = ops[_i % NR_OPS].name;
	struct trace trace;

	guest_start_with(track_modes[_i / NR_OPS], ALIAS_FLUSH_NONE);
	ck_assert_int_eq(trace_init(&trace, 1, 0), 0);
	guest.vcpu.track = trace_vcpu(&trace, 0);
	guest_map(ops[_i % NR_OPS].in_the_way);
	if (ops[_i % NR_OPS].op == ALIAS_OP_PIN) {
		guest_frame(DATA)[0] = W(DATA + 1); /* as L2 it would link what is no table */
		ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_PIN, 2), ALIAS_CHILD_UNPINNED);
		guest_frame(DATA)[0] = 0;
	}
	ck_assert_int_eq(transition_figure(name, "aliases_met"), 0);
	ck_assert_uint_eq(let_through_events(), 0);
	ck_assert_uint_eq(guest_ask(DATA, ops[_i % NR_OPS].op, ops[_i % NR_OPS].arg), ALIAS_OK);
	guest.let_through = 1;
	ck_assert_int_eq(transition_figure(name, "aliases_met"), 1);
	ck_assert_uint_eq(let_through_events(), 1);
	guest_end();
	trace_free(&trace);
}
END_TEST

/* Mappings that went before anybody counted those that can only read may be in a TLB. */
START_TEST(the_first_transition_has_no_evidence)
{
	struct alias_common_page *common = common_page(&guest.machine);

	guest_map(R(DATA));
	guest_ask(DATA, ALIAS_OP_UNPIN, 0); /* the host syncs */
	common->cleared++;
	guest_frame(L1)[5] = 0;
	ck_assert_uint_eq(guest_ask(DATA, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.host_flushes"), 1);
	ck_assert_uint_eq(atomic_load(&guest.vcpu.todo), VCPU_FLUSH_TLB);
	/* It will flush before it runs, and so it has for all that follow. */
	ck_assert_uint_eq(guest_ask(DATA + 1, ALIAS_OP_INFLATE, 0), ALIAS_OK);
	ck_assert_int_eq(pin_figure(guest.pin, "pins.host_flushes"), 1);
}
END_TEST

static json_int_t number(const json_t *from, const char *group, const char *name)
{
	const json_t *value = json_object_get(json_object_get(from, group), name);

	ck_assert_msg(json_is_integer(value), "no number %s.%s", group, name);
	return json_integer_value(value);
}

START_TEST(statistics_tell_them_apart)
{
	json_t *root = json_object();
	const json_t *transitions;

	guest_ask(DATA, ALIAS_OP_MEMTYPE, 3);
	guest_ask(DATA + 1, ALIAS_OP_INFLATE, 0);
	guest_ask(DATA + 2, ALIAS_OP_INFLATE, 0);
	guest_ask(DATA + 2, ALIAS_OP_DEFLATE, 0);
	guest_map(R(DATA + 3));
	guest_ask(DATA + 3, ALIAS_OP_INFLATE, 0);
	guest.page->stats.inflates = 3;
	pin_stats(guest.pin, root);
	transitions = json_object_get(root, "transitions");
	ck_assert_int_eq(number(transitions, "pin", "granted"), 4);
	ck_assert_int_eq(number(transitions, "memtype", "granted"), 1);
	ck_assert_int_eq(number(transitions, "inflate", "requests"), 3);
	ck_assert_int_eq(number(transitions, "inflate", "refused"), 1);
	ck_assert_int_eq(number(transitions, "inflate", "aliases_met"), 1);
	ck_assert_int_eq(number(transitions, "deflate", "granted"), 1);
	ck_assert_int_eq(number(root, "pins", "pins"), 4);
	ck_assert_int_eq(number(root, "pins", "aliases_met"), 1);
	ck_assert_int_eq(number(root, "tracker", "ballooned"), 1);
	ck_assert_int_eq(number(root, "tracker", "memtyped"), 1);
	ck_assert_int_eq(number(root, "guest", "inflates"), 3);
	json_decref(root);
}
END_TEST

START_TEST(frames_are_described)
{
	json_t *before = json_object(), *after = json_object(), *given = json_object();

	guest_map(R(DATA));
	ck_assert_ptr_null(pin_describe_frame(guest.pin, DATA, before));
	ck_assert(json_is_null(json_object_get(before, "mapping_count")));
	guest_ask(DATA + 1, ALIAS_OP_INFLATE, 0);
	guest_ask(DATA, ALIAS_OP_MEMTYPE, 0);
	ck_assert_ptr_null(pin_describe_frame(guest.pin, DATA, after));
	ck_assert_int_eq(json_integer_value(json_object_get(after, "mapping_count")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(after, "alias_count")), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(after, "aliases")), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(after, "mappings")), 1);
	ck_assert(json_is_false(json_object_get(after, "ballooned")));
	ck_assert_ptr_null(pin_describe_frame(guest.pin, DATA + 1, given));
	ck_assert(json_is_true(json_object_get(given, "ballooned")));
	json_decref(before);
	json_decref(after);
	json_decref(given);
}
END_TEST

/* The letter of DATA in the map. */
static char letter(void)
{
	json_t *answer = json_object();
	const char *cells;
	char is;

	ck_assert_ptr_null(pin_map_frames(guest.pin, answer));
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "frames_per_cell")), 1);
	cells = json_string_value(json_object_get(answer, "cells"));
	is = cells[DATA];
	json_decref(answer);
	return is;
}

static void note_origin(enum alias_origin_kind kind)
{
	struct alias_origin *records =
		memory_ptr(&guest.machine.vm.mem, ORIGINS_GPA, ALIAS_ORIGINS * sizeof(*records));

	guest.page->origins_gpa = ORIGINS_GPA;
	records[guest.page->nr_origins++] = (struct alias_origin){
		.va = MAPPED_AT, .caller = 1, .nr_pages = 1, .kind = (uint32_t)kind};
}

START_TEST(frames_are_mapped)
{
	ck_assert_int_eq(letter(), '.');
	guest_map(W(DATA));
	note_origin(ALIAS_ORIGIN_MAPPED);
	ck_assert_int_eq(letter(), 'm');
	note_origin(ALIAS_ORIGIN_UNMAPPED);
	ck_assert_int_eq(letter(), 'S');
	stop_request(&guest.machine.stop, 0);
	ck_assert_int_eq(letter(), 'm'); /* nothing is searched any more */
	stop_is_over(&guest.machine.stop);
}
END_TEST

/* They have nothing to do with mappings. */
START_TEST(frames_that_became_something_are_on_the_map)
{
	guest_ask(DATA, ALIAS_OP_INFLATE, 0);
	ck_assert_int_eq(letter(), 'b');
	guest_ask(DATA, ALIAS_OP_DEFLATE, 0);
	ck_assert_int_eq(letter(), '.');
	guest_ask(DATA, ALIAS_OP_MEMTYPE, 3);
	ck_assert_int_eq(letter(), 't');
	guest_ask(DATA, ALIAS_OP_MEMTYPE, 0);
	guest_ask(DATA, ALIAS_OP_PIN, 1);
	ck_assert_int_eq(letter(), '1');
}
END_TEST

START_TEST(large_leaves_are_on_the_map)
{
	uint64_t *entry = &guest_frame(L1 - 1)[1];

	*entry = R(DATA) | PTE_PS;
	ck_assert_int_eq(letter(), '.');
	*entry = W(DATA) | PTE_PS;
	ck_assert_int_eq(letter(), 'm');
}
END_TEST

/* However long it would take. */
START_TEST(a_stop_ends_a_batch)
{
	guest_map(W(DATA));
	stop_request(&guest.machine.stop, 0);
	ck_assert_int_eq(guest_ask(DATA, ALIAS_OP_PIN, 1), ALIAS_PENDING);
	stop_is_over(&guest.machine.stop);
}
END_TEST

static const struct {
	struct transition_facts facts;
	enum transition_step next;
} decisions[] = {
	/* clean, or not known to be */
	{{.verdict = AT_OK}, STEP_BECOME},
	{{.verdict = AT_OK, .final = true}, STEP_ANSWER},
	{{.verdict = AT_BAD_LEVEL}, STEP_BECOME},
	{{.verdict = AT_BAD_LEVEL, .final = true, .can_purge = true}, STEP_ANSWER},
	/* TLBs: the guest's own flush before the host's, and neither where it changes nothing */
	{{.verdict = AT_STALE_TLB, .unflushed = true, .can_wait = true}, STEP_WAIT},
	{{.verdict = AT_STALE_TLB, .unflushed = true, .can_purge = true}, STEP_FLUSH},
	{{.verdict = AT_OK, .unflushed = true}, STEP_FLUSH},
	{{.verdict = AT_STALE_TLB, .final = true, .unflushed = true, .can_wait = true},
	 STEP_ANSWER},
	/* an alias: never an upcall before the verdict is final */
	{{.verdict = AT_ALIAS, .can_purge = true}, STEP_BECOME},
	{{.verdict = AT_ALIAS, .final = true, .can_purge = true}, STEP_PURGE},
	{{.verdict = AT_ALIAS, .final = true}, STEP_ANSWER},
};

START_TEST(decides)
{
	ck_assert_int_eq(transition_next(&decisions[_i].facts), decisions[_i].next);
}
END_TEST

TCase *transition_tests(void)
{
	TCase *tc = tcase_create("transitions");

	tcase_add_loop_test(tc, a_stale_alias_traps, 0, 2 * NR_OPS);
	tcase_add_loop_test(tc, a_live_alias_refuses, 0, 2 * NR_OPS);
	tcase_add_loop_test(tc, a_later_mapping_is_a_violation, 0, 2 * NR_OPS);
	tcase_add_loop_test(tc, decides, 0, sizeof(decisions) / sizeof(decisions[0]));
	tcase_add_loop_test(tc, an_alias_is_let_through_with_a_grant, 0, 2 * NR_OPS);
	tcase_add_test(tc, a_store_that_is_taken_back);
	return tc;
}

TCase *transition_request_tests(void)
{
	TCase *tc = tcase_create("transition requests");

	tcase_add_checked_fixture(tc, guest_start, guest_end);
	tcase_add_test(tc, requests_are_checked);
	tcase_add_test(tc, the_first_transition_has_no_evidence);
	tcase_add_test(tc, statistics_tell_them_apart);
	tcase_add_test(tc, frames_are_described);
	tcase_add_test(tc, frames_are_mapped);
	tcase_add_test(tc, frames_that_became_something_are_on_the_map);
	tcase_add_test(tc, large_leaves_are_on_the_map);
	tcase_add_test(tc, a_stop_ends_a_batch);
	return tc;
}

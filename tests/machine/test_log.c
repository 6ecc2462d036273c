/* SPDX-License-Identifier: MIT */
/* --track log: right logs are believed and cause no log mismatch, and wrong ones are found out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "run.h"
#include "suites.h"

static const char *const cpus[] = {"1", "4"};

static bool is_logging(const struct run *run)
{
	return json_is_true(json_object_get(json_object_get(run->stats, "tracker"), "logging"));
}

/* Every sync an audit, beside vCPUs that are in the middle of their changes. */
START_TEST(honest_guests_are_not_accused)
{
	static const char *const loads[][2] = {
		{"workload=process", "iters=30"},
		{"workload=mixed", "iters=20"},
		{"workload=grow", "iters=40"},
		{"workload=selftest", "ahead=0"},
	};
	struct run run;

	RUN(&run, "-c", "4", "-m", "256M", "-t", "log", "--audit", "1", path_guest(), "--",
	    loads[_i][0], loads[_i][1]);
	expect_status(&run, 0);
	ck_assert(is_logging(&run));
	ck_assert_int_eq(stat_of(&run, "pins.violations"), 0);
	ck_assert_int_gt(stat_of(&run, "tracker.records"), 500);
	ck_assert_int_ge(stat_of(&run, "tracker.audits"), stat_of(&run, "tracker.syncs") / 2);
	run_free(&run);
}
END_TEST

enum { PRINTED_MAX = 10 }; /* of what is reported */

/* The first entry for which the guest says that it kept a wrong log is reported, among others. It
 * need not be the first that the host finds, so the run is short enough for all to be printed.
 * (Where it left a purge out a pin may be refused: for the host the alias is still there.) */
START_TEST(a_mismatch_is_reported_with_its_entry)
{
	static const char *const bugs[] = {"bug=log-omit", "bug=log-invent", "bug=log-value"};
	static const char said[] = "log: a wrong record for the entry at ";
	struct run run;
	const char *entry;
	char report[64];

	RUN(&run, "-c", cpus[_i / 3], "-m", "128M", "-t", "log", path_guest(), "--",
	    "workload=process", _i / 3 ? "iters=1" : "iters=3", bugs[_i % 3]);
	entry = strstr(run.out, said);
	ck_assert_msg(entry != NULL, "the log was right:\n%s", run.out);
	snprintf(report, sizeof(report), "entry at gpa %#lx)",
		 strtoul(entry + strlen(said), NULL, 16));
	ck_assert_int_le(stat_of(&run, "pins.violations"), PRINTED_MAX);
	expect_contains(run.err, report);
	expect_contains(run.err, "violation: entry ");
	expect_contains(run.err, "in the log");
	ck_assert_int_gt(stat_of(&run, "tracker.log_mismatches"), 0);
	ck_assert_int_eq(stat_of(&run, "tracker.log_mismatches"), stat_of(&run, "pins.violations"));
	run_free(&run);
}
END_TEST

START_TEST(a_lie_stops_the_guest)
{
	struct run run;

	RUN(&run, "-t", "log", "--on-violation", "stop", path_guest(), "--", "workload=process",
	    "iters=20", "bug=log-omit");
	expect_status(&run, 81);
	run_free(&run);
}
END_TEST

/* What has no record is seen by the next audit: if that is always, nothing is missed. */
START_TEST(what_is_left_out_is_missed_until_the_audit)
{
	struct run seldom, always;

	RUN(&seldom, "-t", "log", "--audit", "1000000", path_guest(), "--", "workload=process",
	    "iters=20", "bug=log-omit");
	RUN(&always, "-t", "log", "--audit", "1", "--verify", path_guest(), "--",
	    "workload=process", "iters=20", "bug=log-omit");
	expect_status(&always, 0);
	ck_assert_int_eq(stat_of(&seldom, "tracker.audits"), 1); /* at the end */
	ck_assert_int_gt(stat_of(&seldom, "tracker.log_mismatches"), 0);
	ck_assert_int_eq(stat_of(&always, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(&always, "pins.looked_again"), 0);
	ck_assert_int_eq(stat_of(&always, "pins.let_through"), 0);
	run_free(&seldom);
	run_free(&always);
}
END_TEST

/* The oracle finds what the guest kept from the tracker, and reports log mismatches. */
START_TEST(the_oracle_tells_whose_mistake_it_is)
{
	struct run run;

	RUN(&run, "-t", "log", "--audit", "1000000", "--verify", path_guest(), "--",
	    "workload=process", "iters=40", "bug=log-omit");
	ck_assert_int_lt(run.status, 64);
	ck_assert_int_eq(stat_of(&run, "pins.disagreed"), 0);
	ck_assert_int_gt(stat_of(&run, "pins.looked_again"), 0); /* and the log was wrong */
	ck_assert_int_gt(stat_of(&run, "tracker.audits"), 1);
	ck_assert_int_gt(stat_of(&run, "tracker.log_mismatches"), 0);
	run_free(&run);
}
END_TEST

/* The ring is not drained while nothing is pinned: the guest goes on, without an exit, and the host
 * looks at all tables. */
START_TEST(a_full_log_costs_no_exits)
{
	struct run few, many;

	RUN(&few, "-t", "log", path_guest(), "--", "workload=vmaponly", "iters=200", "lazy=512");
	RUN(&many, "-t", "log", path_guest(), "--", "workload=vmaponly", "iters=2500", "lazy=512");
	expect_status(&few, 0);
	expect_status(&many, 0);
	ck_assert_int_eq(stat_of(&few, "tracker.log_losses"), 0);
	ck_assert_int_gt(stat_of(&many, "tracker.log_losses"), 0);
	ck_assert_int_eq(stat_of(&many, "pins.violations"), 0);
	ck_assert_int_eq(stat_of(&many, "pins.calls"), stat_of(&few, "pins.calls"));
	run_free(&few);
	run_free(&many);
}
END_TEST

/* Pins of clean frames: no vCPU is kicked or flushed, and nothing is compared but in audits. */
START_TEST(clean_pins_compare_nothing)
{
	struct run run;

	RUN(&run, "-c", "4", "-t", "log", "--audit", "1000000", path_guest(), "--",
	    "workload=cleanpin", "iters=500");
	expect_status(&run, 0);
	ck_assert_int_eq(stat_of(&run, "exits.kicked"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.host_flushes"), 0);
	ck_assert_int_eq(stat_of(&run, "tracker.arms"), 0);
	ck_assert_int_le(stat_of(&run, "tracker.tables_compared"),
			 3 * stat_of(&run, "tracker.tables"));
	ck_assert_int_ge(stat_of(&run, "tracker.syncs"), 4000);
	run_free(&run);
}
END_TEST

/* A guest that was never asked for a log has none, and one that has no room for it goes without. */
START_TEST(no_log_unless_asked_for)
{
	struct run run;

	RUN(&run, "-t", "dirty", path_guest());
	expect_status(&run, 0);
	ck_assert(!is_logging(&run));
	ck_assert_int_eq(stat_of(&run, "tracker.records"), 0);
	run_free(&run);
	RUN(&run, "-t", "log", "-c", "16", "-m", "4M", path_guest());
	expect_status(&run, 64);
	expect_contains(run.err, "96 KiB");
	run_free(&run);
}
END_TEST

Suite *log_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, honest_guests_are_not_accused, 0, 4);
	tcase_add_loop_test(tc, a_mismatch_is_reported_with_its_entry, 0, 6);
	tcase_add_test(tc, a_lie_stops_the_guest);
	tcase_add_test(tc, what_is_left_out_is_missed_until_the_audit);
	tcase_add_test(tc, the_oracle_tells_whose_mistake_it_is);
	tcase_add_test(tc, a_full_log_costs_no_exits);
	tcase_add_test(tc, clean_pins_compare_nothing);
	tcase_add_test(tc, no_log_unless_asked_for);
	suite_add_tcase(suite, tc);
	return suite;
}

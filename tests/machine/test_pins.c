/* SPDX-License-Identifier: MIT */
/* Strategies and modes of --track: verdicts against the full walk, and the exact counts they
 * promise. */
#include <stdio.h>
#include <string.h>
#include "run.h"
#include "suites.h"

static const char *const strategies[] = {"none", "eager", "trap", "trap-range"};
static const char *const track_modes[] = {"dirty", "scan", "log"};
static const char *const cpus[] = {"1", "4"};

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define NR_MATRIX    (NR_OF(strategies) * NR_OF(track_modes) * NR_OF(cpus))

/* Every strategy x --track x 1 and 4 vCPUs; after every pin the oracle looks. */
START_TEST(matrix)
{
	const char *flush = strategies[_i % NR_OF(strategies)];
	const char *track = track_modes[_i / NR_OF(strategies) % NR_OF(track_modes)];
	const char *nr = cpus[_i / NR_OF(strategies) / NR_OF(track_modes)];
	struct run run;

	RUN(&run, "-c", nr, "-m", "128M", "-f", flush, "-t", track_or(track), "--verify",
	    path_guest(), "--", "workload=process", "iters=12", "seed=7");
	expect_status(&run, 0);
	ck_assert_int_eq(stat_of(&run, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.looked_again"), 0);
	ck_assert_int_gt(stat_of(&run, "pins.verified"), 50);
	ck_assert_int_eq(stat_of(&run, "pins.verified"), stat_of(&run, "pins.pins"));
	if (strcmp(flush, "none")) {
		ck_assert_int_eq(stat_of(&run, "pins.let_through"), 0);
		ck_assert_int_eq(stat_of(&run, "pins.violations"), 0);
	} else {
		ck_assert_int_gt(stat_of(&run, "pins.let_through"), 0);
	}
	if (!strncmp(flush, "trap", 4)) {
		ck_assert_int_gt(stat_of(&run, "pins.upcalls"), 0);
		ck_assert_int_eq(stat_of(&run, "pins.upcalls"), stat_of(&run, "guest.upcalls"));
		ck_assert_int_eq(stat_of(&run, "pins.upcalls_resolved"),
				 stat_of(&run, "pins.upcalls"));
	} else {
		ck_assert_int_eq(stat_of(&run, "pins.upcalls"), 0);
	}
	run_free(&run);
}
END_TEST

/* The guest's own tests, those that need the host included. */
START_TEST(selftests)
{
	static const char *const flushes[] = {"trap", "trap-range", "eager"};
	struct run run;

	RUN(&run, "-m", "256M", "-c", _i ? "4" : "1", "-f", flushes[_i], "--verify", path_guest(),
	    "--", "workload=selftest");
	expect_status(&run, 0);
	expect_contains(run.out, " 0 failed");
	ck_assert_int_eq(stat_of(&run, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.looked_again"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.let_through"), 0);
	run_free(&run);
}
END_TEST

/* The same story told with no check and with the trap: only the first lets the alias through. */
START_TEST(none_lets_an_alias_through)
{
	struct run run;

	RUN(&run, "-f", "none", "--verify", path_guest());
	expect_status(&run, 0);
	ck_assert_int_gt(stat_of(&run, "pins.let_through"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.aliases_met"), stat_of(&run, "pins.let_through"));
	ck_assert_int_gt(stat_of(&run, "tracker.entries_changed"), 0);
	run_free(&run);
}
END_TEST

/* The story is told the same; but who does not look meets nothing. */
START_TEST(none_unseen)
{
	struct run run;

	RUN(&run, "-f", "none", "-t", "off", "--verify", path_guest());
	expect_status(&run, 0);
	ck_assert_int_gt(stat_of(&run, "pins.let_through"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.aliases_met"), 0);
	ck_assert_int_eq(stat_of(&run, "tracker.syncs"), 0);
	run_free(&run);
}
END_TEST

START_TEST(trap_does_not)
{
	struct run run;

	RUN(&run, "-f", "trap", "--verify", path_guest());
	expect_status(&run, 0);
	ck_assert_int_eq(stat_of(&run, "pins.let_through"), 0);
	ck_assert_int_gt(stat_of(&run, "pins.upcalls_resolved"), 0);
	run_free(&run);
}
END_TEST

/* An alias that is in use can't be purged: one trap, then refusal, and the guest is told where. */
START_TEST(live_alias_is_refused)
{
	const char *flush = _i ? "trap-range" : "trap";
	struct run run;

	RUN(&run, "-v", "-f", flush, "--verify", path_guest(), "--", "workload=livealias");
	expect_status(&run, 0);
	ck_assert_int_ge(stat_of(&run, "pins.status.has_alias"), 1);
	ck_assert_int_eq(stat_of(&run, "pins.upcalls_resolved"), 0);
	expect_contains(run.err, "writable alias at va 0xffffc9");
	expect_contains(run.err, "refused");
	run_free(&run);
}
END_TEST

START_TEST(eager_is_refused_without_a_trap)
{
	struct run run;

	RUN(&run, "-f", "eager", "--verify", path_guest(), "--", "workload=livealias");
	expect_status(&run, 0);
	ck_assert_int_ge(stat_of(&run, "pins.status.has_alias"), 1);
	ck_assert_int_eq(stat_of(&run, "pins.upcalls"), 0);
	run_free(&run);
}
END_TEST

/* A clean pin costs one exit: no upcall, no flush, no kick. */
START_TEST(clean_pins_flush_nothing)
{
	struct run few, many;

	RUN(&few, "-c", "4", "-f", "trap", path_guest(), "--", "workload=cleanpin", "iters=1000");
	RUN(&many, "-c", "4", "-f", "trap", path_guest(), "--", "workload=cleanpin", "iters=3000");
	expect_status(&few, 0);
	expect_status(&many, 0);
	ck_assert_int_eq(stat_of(&many, "pins.upcalls"), 0);
	ck_assert_int_eq(stat_of(&many, "pins.host_flushes"), 0);
	ck_assert_int_eq(stat_of(&many, "guest.unmap_aliases"), 0);
	ck_assert_int_eq(stat_of(&many, "guest.purges"), 0);
	ck_assert_int_eq(stat_of(&many, "guest.shootdowns"), stat_of(&few, "guest.shootdowns"));
	/* The hypercall rang once for each call, and for nothing else. */
	ck_assert_int_eq(stat_of(&many, "pins.calls") - stat_of(&few, "pins.calls"),
			 stat_of(&many, "guest.pin_calls") - stat_of(&few, "guest.pin_calls"));
	ck_assert_int_ge(stat_of(&many, "guest.pin_calls") - stat_of(&few, "guest.pin_calls"),
			 2000);
	run_free(&few);
	run_free(&many);
}
END_TEST

/* With nothing else to cause a purge (a high lazy limit, none ahead of pins), trap purges once per
 * alias it met, and what is left at the end of the run. */
START_TEST(trap_purges_as_often_as_aliases_are_found)
{
	struct run run;

	RUN(&run, "-m", "128M", "-f", "trap", path_guest(), "--", "workload=process", "iters=40",
	    "lazy=100000000", "ahead=0");
	expect_status(&run, 0);
	ck_assert_int_gt(stat_of(&run, "pins.aliases_met"), 0);
	ck_assert_int_eq(stat_of(&run, "guest.purges"), stat_of(&run, "pins.aliases_met") + 1);
	ck_assert_int_eq(stat_of(&run, "pins.upcalls"), stat_of(&run, "pins.aliases_met"));
	run_free(&run);
}
END_TEST

/* Where nearly every pin meets an alias, it soon purges ahead of them; else never. */
START_TEST(trap_purges_ahead_where_that_is_cheaper)
{
	static const char *const strategies_to_try[] = {"trap", "trap-range"};
	const char *flush = strategies_to_try[_i];
	struct run ahead, never, clean;

	RUN(&ahead, "-m", "128M", "-f", flush, "--verify", path_guest(), "--", "workload=process",
	    "iters=40", "alias=100");
	RUN(&never, "-m", "128M", "-f", flush, "--verify", path_guest(), "--", "workload=process",
	    "iters=40", "alias=100", "ahead=0");
	RUN(&clean, "-m", "128M", "-f", flush, "--verify", path_guest(), "--", "workload=process",
	    "iters=40", "alias=0", "lazy=100000000");
	expect_status(&ahead, 0);
	expect_status(&never, 0);
	expect_status(&clean, 0);
	ck_assert_int_eq(stat_of(&ahead, "pins.let_through"), 0);
	ck_assert_int_eq(stat_of(&ahead, "pins.pins"), stat_of(&never, "pins.pins"));
	ck_assert_int_gt(stat_of(&ahead, "pins.upcalls"), 0);
	ck_assert_int_lt(4 * stat_of(&ahead, "pins.upcalls"), stat_of(&never, "pins.upcalls"));
	ck_assert_int_eq(stat_of(&clean, "guest.unmap_aliases"), 1); /* at the end */
	run_free(&ahead);
	run_free(&never);
	run_free(&clean);
}
END_TEST

/* Nor where few pins meet one, and each purge is dear. */
START_TEST(trap_does_not_purge_ahead_of_few)
{
	struct run run;

	RUN(&run, "-m", "128M", "-c", "4", "-f", "trap", path_guest(), "--", "workload=process",
	    "iters=100", "busy=1", "alias=1", "lazy=100000000");
	expect_status(&run, 0);
	ck_assert_int_gt(stat_of(&run, "pins.aliases_met"), 4);
	ck_assert_int_eq(stat_of(&run, "guest.purges"), stat_of(&run, "pins.upcalls") + 1);
	run_free(&run);
}
END_TEST

/* vmap and vunmap never leave the guest: more of them, as many exits. (The limit keeps them within
 * the same page tables, whose pins would be exits.) */
START_TEST(vmap_makes_no_exits)
{
	struct run few, many;

	NOT_IF_STRICT("tables are written by way of the host");
	RUN(&few, "-f", "trap", path_guest(), "--", "workload=vmaponly", "iters=500", "lazy=512");
	RUN(&many, "-f", "trap", path_guest(), "--", "workload=vmaponly", "iters=2500", "lazy=512");
	expect_status(&few, 0);
	expect_status(&many, 0);
	ck_assert_int_ge(stat_of(&many, "guest.vmaps") - stat_of(&few, "guest.vmaps"), 2000);
	ck_assert_int_eq(stat_of(&many, "pins.calls"), stat_of(&few, "pins.calls"));
	run_free(&few);
	run_free(&many);
}
END_TEST

/* Without the guest's word, the host flushes by itself before it grants a recycled frame. */
START_TEST(host_proof_flushes)
{
	struct run guest, host;

	NOT_IF_STRICT("write-protecting a frame has flushed it");
	RUN(&guest, "-c", "4", "-m", "128M", "--verify", path_guest(), "--", "workload=process",
	    "iters=12");
	RUN(&host, "-c", "4", "-m", "128M", "--verify", "--flush-proof", "host", path_guest(), "--",
	    "workload=process", "iters=12");
	expect_status(&guest, 0);
	expect_status(&host, 0);
	ck_assert_int_gt(stat_of(&host, "pins.host_flushes"), 0);
	ck_assert_int_gt(stat_of(&host, "pins.host_flushes"), stat_of(&guest, "pins.host_flushes"));
	ck_assert_int_eq(stat_of(&host, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(&host, "pins.looked_again"), 0);
	run_free(&guest);
	run_free(&host);
}
END_TEST

/* eager-pte leaves TLBs to the host, which flushes those that need it: each of a flush's vCPUs is
 * either asked, and does it before the guest goes on, or has a newer stamp. */
START_TEST(flush_stamps)
{
	const char *proof = _i ? "host" : "guest";
	struct run run;

	NOT_IF_STRICT("write-protecting a frame has flushed it");
	RUN(&run, "-c", "4", "-m", "128M", "-f", "eager-pte", "--flush-proof", proof, path_guest(),
	    "--", "workload=process", "iters=20");
	expect_status(&run, 0);
	ck_assert_int_gt(stat_of(&run, "pins.host_flushes"), 0);
	ck_assert_int_ge(stat_of(&run, "pins.vcpus_flushed"), stat_of(&run, "pins.host_flushes"));
	ck_assert_int_gt(stat_of(&run, "pins.vcpus_spared"), 0);
	ck_assert_int_le(stat_of(&run, "pins.kicks"), stat_of(&run, "pins.vcpus_flushed"));
	ck_assert_int_ge(stat_of(&run, "pins.vcpus_flushed") + stat_of(&run, "pins.vcpus_spared"),
			 4 * stat_of(&run, "pins.host_flushes"));
	run_free(&run);
}
END_TEST

/* With one vCPU, which is out of the guest when it asks, there is never a kick. */
START_TEST(a_lonely_cpu_kicks_nobody)
{
	struct run run;

	NOT_IF_STRICT("write-protecting a frame has flushed it");
	RUN(&run, "-f", "eager-pte", path_guest(), "--", "workload=process", "iters=20");
	expect_status(&run, 0);
	ck_assert_int_gt(stat_of(&run, "pins.host_flushes"), 0);
	ck_assert_int_eq(stat_of(&run, "pins.vcpus_flushed"), stat_of(&run, "pins.host_flushes"));
	ck_assert_int_eq(stat_of(&run, "pins.kicks"), 0);
	run_free(&run);
}
END_TEST

/* An alias made after the grant is found at the next sync; --on-violation says what then. */
START_TEST(later_alias_is_reported)
{
	struct run run;

	RUN(&run, path_guest(), "--", "workload=violate");
	expect_status(&run, 0);
	ck_assert_int_eq(stat_of(&run, "pins.violations"), 1);
	expect_contains(run.err, "violation: writable mapping of a page table");
	expect_contains(run.err, "at va 0xffffc9");
	run_free(&run);
}
END_TEST

START_TEST(later_alias_stops_the_guest)
{
	struct run run;

	RUN(&run, "--on-violation", "stop", path_guest(), "--", "workload=violate");
	expect_status(&run, 81);
	ck_assert_int_eq(stat_of(&run, "pins.violations"), 1);
	run_free(&run);
}
END_TEST

/* The reverse map of a large, mostly empty guest; memory is reserved, not used. */
START_TEST(a_64_gib_guest_starts)
{
	struct run run;

	RUN(&run, "-m", "64G", path_guest());
	expect_status(&run, 0);
	ck_assert_int_lt(stat_of(&run, "memory.guest_resident_bytes"), 256 << 20);
	run_free(&run);
}
END_TEST

Suite *pins_suite(void)
{
	Suite *suite = suite_create("pins");
	TCase *tc = tcase_create("pins");

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, matrix, 0, NR_MATRIX);
	tcase_add_loop_test(tc, selftests, 0, 3);
	tcase_add_test(tc, none_lets_an_alias_through);
	tcase_add_test(tc, none_unseen);
	tcase_add_test(tc, trap_does_not);
	tcase_add_loop_test(tc, live_alias_is_refused, 0, 2);
	tcase_add_test(tc, eager_is_refused_without_a_trap);
	tcase_add_test(tc, clean_pins_flush_nothing);
	tcase_add_test(tc, trap_purges_as_often_as_aliases_are_found);
	tcase_add_loop_test(tc, trap_purges_ahead_where_that_is_cheaper, 0, 2);
	tcase_add_test(tc, trap_does_not_purge_ahead_of_few);
	tcase_add_test(tc, vmap_makes_no_exits);
	tcase_add_test(tc, host_proof_flushes);
	tcase_add_loop_test(tc, flush_stamps, 0, 2);
	tcase_add_test(tc, a_lonely_cpu_kicks_nobody);
	tcase_add_test(tc, later_alias_is_reported);
	tcase_add_test(tc, later_alias_stops_the_guest);
	tcase_add_test(tc, a_64_gib_guest_starts);
	suite_add_tcase(suite, tc);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/*
 * Hostile guests (tests/hostile/, one property each): what must happen under every source, and what
 * happens with the defence switched off that the guest is there for. The guest says by its exit
 * status whether it was treated as it must be (runtime/hostile.h); the host ends by itself with 81
 * when the observer of vmm-broken sees a vCPU run with a stale entry of a page table.
 */
#include <check.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "run.h"
#include "suites.h"

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define MAX_ARGS     32
#define TIME_LIMIT   "20"

enum { HELD = 0, BROKE = 1, INTERNAL = 70, TIMEOUT = 75, SHUTDOWN = 80, STOPPED = 81 };

struct outcome {
	int status;
	int violations;   /* reported */
	const char *says; /* on standard error; NULL: nothing but the violations */
};

struct hostile {
	const char *guest;
	const char *with[6]; /* options of vmm, and of vmm-broken, beside -t SOURCE */
	struct outcome must; /* under every source; HELD if not given */
	const char *off[6];  /* these switch the defence off; none: there is no switch */
	struct outcome then; /* under dirty */
};

#define RUNS_STALE                                                                                 \
	{                                                                                          \
		.status = STOPPED, .says = "runs with a stale writable entry"                      \
	}

static const struct hostile hostiles[] = {
	/* TLBs */
	{.guest = "xsa241", .with = {"-c2"}, .off = {"--break", "no-unseen"}, .then = RUNS_STALE},
	{.guest = "xsa241",
	 .with = {"-c2", "--flush-proof=host"},
	 .off = {"--break", "no-unseen"},
	 .then = RUNS_STALE},
	{.guest = "xsa401",
	 .with = {"--step", "pause", "-c2"},
	 .off = {"--break", "no-second-look"},
	 .then = {.status = BROKE, .violations = 1}},
	{.guest = "xsa286",
	 .with = {"-c2"},
	 .off = {"--break", "no-unseen", "--break", "no-limbo"},
	 .then = RUNS_STALE},
	{.guest = "xsa292", .with = {"-c2"}, .off = {"--break", "any-exit"}, .then = RUNS_STALE},
	{.guest = "xsa294", .off = {"--break", "flush-by-cr3"}, .then = RUNS_STALE},
	{.guest = "handlers_word",
	 .with = {"-c2"},
	 .off = {"--break", "no-limbo"},
	 .then = RUNS_STALE},
	{.guest = "xsa408", .off = {"--break", "equal-is-newer"}, .then = RUNS_STALE},
};

static const char *const sources[] = {"dirty", "scan"};

/* "BUILD/tests/NAME" */
static const char *in_tests(const char *name)
{
	char *path;

	ck_assert_int_gt(asprintf(&path, "%s/tests/%s", dirname(strdup(path_vmm())), name), 0);
	return path;
}

/* The options of vmm-broken come first, whoever gives them. */
static void add_options(const char *argv[], size_t *n, const char *const options[6], bool broken)
{
	for (size_t i = 0; i < 6 && options[i]; i++) {
		bool of_broken = !strcmp(options[i], "--break") || !strcmp(options[i], "--step");

		if (of_broken == broken) {
			ck_assert_uint_lt(*n, MAX_ARGS - 10);
			argv[(*n)++] = options[i];
			if (of_broken)
				argv[(*n)++] = options[i + 1];
		}
		i += of_broken;
	}
}

static void run_hostile(struct run *run, const struct hostile *hostile, const char *source,
			bool off)
{
	static const char *const nothing[6];
	const char *const *more = off ? hostile->off : nothing;
	const char *stats = tmp_file("stats.json");
	const char *argv[MAX_ARGS] = {in_tests("vmm-broken")};
	char *guest;
	size_t n = 1;

	ck_assert_int_gt(asprintf(&guest, "hostile/%s.elf", hostile->guest), 0);
	add_options(argv, &n, hostile->with, true);
	add_options(argv, &n, more, true);
	argv[n++] = "-m16M";
	argv[n++] = "-t";
	argv[n++] = source;
	add_options(argv, &n, hostile->with, false);
	add_options(argv, &n, more, false);
	argv[n++] = "--timeout=" TIME_LIMIT;
	argv[n++] = "-s";
	argv[n++] = stats;
	argv[n++] = in_tests(guest);
	unlink(stats);
	run_program(run, NULL, argv);
	run->stats = json_load_file(stats, 0, NULL);
}

static void expect(const struct run *run, const struct outcome *outcome)
{
	expect_status(run, outcome->status);
	ck_assert_int_eq(stat_of(run, "pins.violations"), outcome->violations);
	if (outcome->says)
		expect_contains(run->err, outcome->says);
	else if (outcome->violations)
		expect_contains(run->err, "vmm: violation: ");
	else
		ck_assert_str_eq(run->err, "");
}

START_TEST(what_must_happen)
{
	const struct hostile *hostile = &hostiles[_i / NR_OF(sources)];
	struct run run;

	if (source_is("strict") && hostile->with[1] && !strcmp(hostile->with[1], "pause")) {
		printf("skipped: with strict a pin stops no vCPU, so there is no such moment\n");
		return;
	}
	run_hostile(&run, hostile, source_or(sources[_i % NR_OF(sources)]), false);
	expect(&run, &hostile->must);
	run_free(&run);
}
END_TEST

START_TEST(defence_off)
{
	const struct hostile *hostile = &hostiles[_i];
	struct run run;

	if (!hostile->off[0])
		return;
	run_hostile(&run, hostile, "dirty", true);
	expect(&run, &hostile->then);
	run_free(&run);
}
END_TEST

Suite *hostile_suite(void)
{
	Suite *suite = suite_create("hostile");
	TCase *tc = tcase_create("hostile");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, what_must_happen, 0, NR_OF(hostiles) * NR_OF(sources));
	tcase_add_loop_test(tc, defence_off, 0, NR_OF(hostiles));
	suite_add_tcase(suite, tc);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* Frames that become memory of another type, or are ballooned: every strategy and --track, with the
 * oracle beside them, and what becomes of the host's memory. Few runs, each for several things. */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "run.h"
#include "suites.h"

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SWING_MIB    16
#define SWING_FRAMES (SWING_MIB << 8)

extern char **environ;

static const char *const strategies[] = {"none",      "legacy",   "eager", "nolazy",    "eager-pte",
					 "quicklist", "page-bit", "trap",  "trap-range"};
static const char *const track_modes[] = {"dirty", "scan", "log"};
static const struct {
	const char *name, *arg;
	const char *transition; /* of the statistics */
	const char *guest;      /* the guest's own count of them */
} loads[] = {
	{"pat", "workload=pat", "memtype", "guest.memtypes"},
	{"balloon", "workload=balloon", "inflate", "guest.inflates"},
};

static int64_t count(const struct run *run, const char *transition, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "transitions.%s.%s", transition, what);
	return stat_of(run, path);
}

/* Of what was asked for, all was granted, rightly; and what comes back is what went. */
static void expect_granted(const struct run *run, int load, bool checked)
{
	const char *transition = loads[load].transition;

	expect_status(run, 0);
	ck_assert_int_gt(count(run, transition, "requests"), 30);
	ck_assert_int_eq(count(run, transition, "granted"), count(run, transition, "requests"));
	ck_assert_int_eq(count(run, transition, "requests"), stat_of(run, loads[load].guest));
	ck_assert_int_eq(count(run, "deflate", "granted"), count(run, "inflate", "granted"));
	ck_assert_int_eq(count(run, "deflate", "granted"), stat_of(run, "guest.deflates"));
	ck_assert_int_eq(stat_of(run, "tracker.ballooned"), 0);
	ck_assert_int_eq(stat_of(run, "tracker.memtyped"), 0);
	ck_assert_int_eq(stat_of(run, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(run, "pins.looked_again"), 0);
	ck_assert_int_eq(stat_of(run, "pins.verified"),
			 count(run, transition, "requests") + stat_of(run, "pins.pins"));
	if (checked) {
		ck_assert_int_eq(stat_of(run, "pins.let_through"), 0);
		ck_assert_int_eq(stat_of(run, "pins.violations"), 0);
	} else {
		ck_assert_int_gt(stat_of(run, "pins.let_through"), 0);
	}
}

/* Modes of --track go round among the strategies, and so does the number of vCPUs. */
START_TEST(every_strategy)
{
	int load = _i % 2, strategy = _i / 2;
	const char *flush = strategies[strategy], *transition = loads[load].transition;
	bool traps = !strncmp(flush, "trap", 4);
	struct run run;

	RUN(&run, "-c", strategy % 2 ? "1" : "4", "-m", "128M", "-f", flush, "-t",
	    track_or(track_modes[(strategy + load) % NR_OF(track_modes)]), "--verify", path_guest(),
	    "--", loads[load].arg, strategy % 2 ? "iters=24" : "iters=8", "seed=7", "ahead=0");
	expect_granted(&run, load, strcmp(flush, "none"));
	ck_assert_int_eq(stat_of(&run, "pins.upcalls"), stat_of(&run, "guest.upcalls"));
	ck_assert_int_eq(count(&run, transition, "upcalls"),
			 traps ? count(&run, transition, "aliases_met") : 0);
	ck_assert_int_eq(count(&run, transition, "upcalls_resolved"),
			 count(&run, transition, "upcalls"));
	/* Who sees to it before, in whatever way, has nothing for the host to find. */
	if (traps || !strcmp(flush, "none"))
		ck_assert_int_gt(count(&run, transition, "aliases_met"), 0);
	else
		ck_assert_int_eq(count(&run, transition, "aliases_met"), 0);
	run_free(&run);
}
END_TEST

/* Without stale aliases nothing is purged; with some for every frame, they are met; and what is
 * asked for depends on the seed alone. The host's word for flushes will do as well. */
START_TEST(aliases_as_ordered)
{
	static const char *const shares[] = {"alias=0", "alias=100"};
	const char *transition = loads[_i].transition;
	struct run run[2];

	for (int i = 0; i < 2; i++) {
		RUN(&run[i], "-c", "2", "-m", "128M", "-f", i ? "trap-range" : "trap",
		    "--flush-proof", i ? "host" : "guest", "--verify", path_guest(), "--",
		    loads[_i].arg, "iters=10", shares[i], "ahead=0");
		expect_granted(&run[i], _i, true);
	}
	ck_assert_int_eq(count(&run[0], transition, "aliases_met"), 0);
	ck_assert_int_eq(stat_of(&run[0], "guest.purges"), 0);
	/* How many depends on when trap-range finds that purging everything pays. */
	ck_assert_int_gt(count(&run[1], transition, "aliases_met"), 0);
	ck_assert_int_eq(count(&run[1], transition, "requests"),
			 count(&run[0], transition, "requests"));
	ck_assert_int_eq(stat_of(&run[1], "guest.pins"), stat_of(&run[0], "guest.pins"));
	run_free(&run[0]);
	run_free(&run[1]);
}
END_TEST

/* One vCPU, so that nobody else purges what it is about to ask for: each call meets an alias, once
 * where everything is purged then, at least once where only what the host names is. */
START_TEST(an_alias_for_every_call)
{
	static const char *const trapping[] = {"trap", "trap-range"};
	const char *transition = loads[_i].transition;
	int64_t met[2];

	for (int i = 0; i < 2; i++) {
		struct run run;

		RUN(&run, "-c", "1", "-m", "128M", "-f", trapping[i], "--verify", path_guest(),
		    "--", loads[_i].arg, "iters=40", "alias=100", "ahead=0");
		expect_granted(&run, _i, true);
		met[i] = count(&run, transition, "aliases_met");
		ck_assert_int_eq(count(&run, transition, "upcalls_resolved"), met[i]);
		run_free(&run);
	}
	ck_assert_int_ge(met[0], 20);
	ck_assert_int_ge(met[1], met[0]);
}
END_TEST

/* A mapping after the grant: reported with frame, address and entry, or the end of the guest. */
START_TEST(later_mappings_are_violations)
{
	static const struct {
		const char *what, *kind;
	} violations[] = {
		{"what=memtype",
		 "violation: mapping of a frame with another memory type than it has"},
		{"what=ballooned", "violation: mapping of a frame in the balloon"},
	};
	unsigned long frame = 0, va = 0;
	const char *said;
	char report[96];
	struct run run;

	RUN(&run, "--on-violation", _i ? "stop" : "report", path_guest(), "--", "workload=violate",
	    violations[_i].what);
	expect_status(&run, _i ? 81 : 0);
	expect_contains(run.err, violations[_i].kind);
	ck_assert_int_eq(stat_of(&run, "pins.violations"), 1);
	said = strstr(run.out, "violate: frame ");
	/* What is prevented the guest may not live to tell. */
	if (!track_is("strict")) {
		ck_assert_ptr_nonnull(said);
		ck_assert_int_eq(sscanf(said, "violate: frame %lx", &frame), 1);
		said = strstr(said, " at 0x");
		ck_assert_ptr_nonnull(said);
		ck_assert_int_eq(sscanf(said, " at %lx", &va), 1);
		snprintf(report, sizeof(report), "frame %#lx at va %#lx (L1 entry at gpa 0x", frame,
			 va);
		expect_contains(run.err, report);
	}
	run_free(&run);
}
END_TEST

/* --- the host's memory ------------------------------------------------------------------------ */

/* A vmm that runs beside the test; its guest says what it does, and waits for a character. */
struct beside {
	pid_t pid;
	FILE *to, *from;
};

static void start(struct beside *vmm, const char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int in[2], out[2];

	ck_assert_int_eq(pipe(in) | pipe(out), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_addclose(&actions, in[1]);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	ck_assert_int_eq(
		posix_spawn(&vmm->pid, argv[0], &actions, NULL, (char *const *)argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	vmm->to = fdopen(in[1], "w");
	vmm->from = fdopen(out[0], "r");
}

/* Until it says so; the first frame it speaks of. */
static const char *wait_for(struct beside *vmm, const char *part)
{
	static char line[256];
	char *frame;

	do
		ck_assert_msg(fgets(line, sizeof(line), vmm->from) != NULL, "never said: %s", part);
	while (!strstr(line, part));
	frame = strstr(line, "frame ");
	ck_assert_ptr_nonnull(frame);
	return strtok(frame + strlen("frame "), " \r\n");
}

static void press_key(struct beside *vmm)
{
	fputc('x', vmm->to);
	ck_assert_int_eq(fflush(vmm->to), 0);
}

static int end(struct beside *vmm)
{
	char line[256];
	int status;

	while (fgets(line, sizeof(line), vmm->from))
		;
	fclose(vmm->to);
	fclose(vmm->from);
	ck_assert_int_eq(waitpid(vmm->pid, &status, 0), vmm->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* KiB that the kernel says the process has resident. */
static long resident(const struct beside *vmm)
{
	char path[64], line[256];
	long kib, sum = 0;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)vmm->pid);
	status = fopen(path, "r");
	ck_assert_ptr_nonnull(status);
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "RssAnon: %ld", &kib) == 1 ||
		    sscanf(line, "RssShmem: %ld", &kib) == 1)
			sum += kib;
	fclose(status);
	return sum;
}

static void ask(struct run *run, const char *request, const char *argument)
{
	const char *const argv[] = {path_vmm(), "ctl", tmp_file("socket"), request, argument, NULL};

	run_program(run, NULL, argv);
	expect_status(run, 0);
	run->stats = json_loads(run->out, 0, NULL);
}

static void expect_swing(const char *frame, int64_t given, int64_t taken)
{
	struct run run;

	ask(&run, "frame", frame);
	ck_assert(json_is_boolean(json_object_get(run.stats, "ballooned")));
	ck_assert_int_eq(json_is_true(json_object_get(run.stats, "ballooned")), given > taken);
	ck_assert_int_eq(stat_of(&run, "mapping_count"), 0);
	run_free(&run);

	ask(&run, "statistics", NULL);
	ck_assert_int_eq(stat_of(&run, "tracker.ballooned"), given - taken);
	ck_assert_int_eq(count(&run, "inflate", "granted"), given);
	ck_assert_int_eq(count(&run, "deflate", "granted"), taken);
	ck_assert_int_eq(stat_of(&run, "guest.inflates"), given);
	run_free(&run);
}

/* The process shrinks by what is ballooned, and grows by it again, give or take a MiB. */
START_TEST(memory_goes_and_comes)
{
	const char *const argv[] = {path_vmm(),         "-m",         "128M",   "-t",
				    track_or("dirty"),  "--timeout",  "100",    "--control",
				    tmp_file("socket"), path_guest(), "--",     "workload=balloon",
				    "iters=0",          "swing=16",   "wait=1", NULL};
	long used, given, back, all = SWING_MIB << 10, slack = 1 << 10;
	struct beside vmm;
	const char *frame;

	start(&vmm, argv);
	wait_for(&vmm, "16 MiB are in use");
	used = resident(&vmm);
	press_key(&vmm);
	frame = wait_for(&vmm, "16 MiB are in the balloon");
	given = resident(&vmm);
	expect_swing(frame, SWING_FRAMES, 0);
	press_key(&vmm);
	frame = wait_for(&vmm, "16 MiB are back");
	back = resident(&vmm);
	expect_swing(frame, SWING_FRAMES, SWING_FRAMES);
	press_key(&vmm);
	ck_assert_int_eq(end(&vmm), 0);
	printf("memory_goes_and_comes: %ld, %ld, %ld KiB resident\n", used, given, back);
	ck_assert_int_le(given, used - all + slack);
	ck_assert_int_ge(given, used - all - slack);
	ck_assert_int_ge(back, given + all - slack);
	ck_assert_int_le(back, given + all + slack);
}
END_TEST

Suite *transitions_suite(void)
{
	Suite *suite = suite_create("transitions");
	TCase *verdicts = tcase_create("verdicts"), *rules = tcase_create("rules");

	tcase_set_timeout(verdicts, 120);
	tcase_add_loop_test(verdicts, every_strategy, 0, 2 * NR_OF(strategies));
	suite_add_tcase(suite, verdicts);
	tcase_set_timeout(rules, 120);
	tcase_add_loop_test(rules, aliases_as_ordered, 0, NR_OF(loads));
	tcase_add_loop_test(rules, an_alias_for_every_call, 0, NR_OF(loads));
	tcase_add_loop_test(rules, later_mappings_are_violations, 0, 2);
	tcase_add_test(rules, memory_goes_and_comes);
	suite_add_tcase(suite, rules);
	return suite;
}

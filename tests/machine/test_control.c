/* SPDX-License-Identifier: MIT */
/* The control socket of a running machine: what is switched, paused and looked at in mid-run. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "run.h"
#include "suites.h"

#define NOBODY 65534

static const char *socket_path;
static pid_t vmm;
static FILE *to, *from; /* the connection */

static int connect_socket(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, socket_path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void redirect(int fd, const char *name)
{
	int file = open(tmp_file(name), O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (file < 0 || dup2(file, fd) < 0)
		_exit(127);
}

/* A guest that goes on for longer than any test, and a connection to its vmm. */
static void start(const char *flush, const char *track)
{
	const char *const argv[] = {path_vmm(),
				    "-c",
				    "2",
				    "-m",
				    "128M",
				    "-f",
				    flush,
				    "-t",
				    track,
				    "--verify",
				    "--stats",
				    tmp_file("stats.json"),
				    "--control",
				    tmp_file("socket"),
				    "--timeout",
				    "230",
				    path_guest(),
				    "--",
				    "workload=process",
				    "iters=1000000",
				    "seed=7",
				    NULL};
	int fd;

	unlink(tmp_file("stats.json"));
	socket_path = tmp_file("socket");
	vmm = fork();
	ck_assert_int_ge(vmm, 0);
	if (vmm == 0) {
		redirect(1, "vmm-stdout");
		redirect(2, "vmm-stderr");
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	while ((fd = connect_socket()) < 0) {
		ck_assert_int_eq(waitpid(vmm, NULL, WNOHANG), 0);
		usleep(10000);
	}
	to = fdopen(fd, "w");
	from = fdopen(dup(fd), "r");
}

/* Ends it in order, wherever it is. */
static void end(struct run *run)
{
	int status;

	memset(run, 0, sizeof(*run));
	fclose(to);
	fclose(from);
	ck_assert_int_eq(kill(vmm, SIGTERM), 0);
	ck_assert_int_eq(waitpid(vmm, &status, 0), vmm);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGTERM);
	ck_assert_int_lt(access(socket_path, F_OK), 0);
	run->stats = json_load_file(tmp_file("stats.json"), 0, NULL);
	ck_assert_int_eq(stat_of(run, "pins.disagreed"), 0);
	ck_assert_int_eq(stat_of(run, "pins.looked_again"), 0);
	ck_assert_int_eq(stat_of(run, "pins.let_through"), 0);
	ck_assert_int_eq(stat_of(run, "pins.violations"), 0);
	ck_assert_int_eq(stat_of(run, "pins.verified"), stat_of(run, "pins.pins"));
}

static json_t *ask(const char *request)
{
	char *line = NULL;
	size_t size = 0;
	json_t *answer;

	fprintf(to, "%s\n", request);
	ck_assert_int_eq(fflush(to), 0);
	ck_assert_int_gt(getline(&line, &size, from), 0);
	answer = json_loads(line, 0, NULL);
	ck_assert_msg(json_is_object(answer), "%s: no answer: %s", request, line);
	free(line);
	return answer;
}

static void expect_done(const char *request)
{
	json_t *answer = ask(request);

	ck_assert_msg(!json_object_get(answer, "error"), "%s: %s", request,
		      json_string_value(json_object_get(answer, "error")));
	json_decref(answer);
}

static int64_t pins(void)
{
	struct run now = {.stats = ask("{\"do\":\"statistics\"}")};
	int64_t nr = stat_of(&now, "pins.pins");

	json_decref(now.stats);
	return nr;
}

static void wait_for_pins(int64_t more)
{
	int64_t until = pins() + more;

	while (pins() < until)
		usleep(10000);
}

static bool guest_follows(const char *strategy)
{
	json_t *stats = ask("{\"do\":\"statistics\"}");
	json_t *name = json_object_get(json_object_get(stats, "guest"), "strategy");
	bool same = json_is_string(name) && !strcmp(json_string_value(name), strategy);

	json_decref(stats);
	return same;
}

static bool guest_logs(void)
{
	json_t *stats = ask("{\"do\":\"statistics\"}");
	bool logs = json_is_true(json_object_get(json_object_get(stats, "tracker"), "logging"));

	json_decref(stats);
	return logs;
}

START_TEST(track_modes_are_switched)
{
	static const char *const begin[] = {"dirty", "scan", "log"};
	static const char *const names[] = {"log", "scan", "log", "dirty", "log", "dirty"};
	struct run run;

	start("trap", begin[_i]);
	wait_for_pins(20);
	for (size_t i = 0; i < 6; i++) {
		char request[64];

		snprintf(request, sizeof(request), "{\"do\":\"track\",\"name\":\"%s\"}", names[i]);
		expect_done(request);
		while (guest_logs() != !strcmp(names[i], "log"))
			usleep(10000);
		wait_for_pins(20);
	}
	end(&run);
	ck_assert_int_gt(stat_of(&run, "pins.upcalls"), 0);
	ck_assert_int_gt(stat_of(&run, "tracker.records"), 0);
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(run.stats, "tracker"), "track")),
		"dirty");
	run_free(&run);
}
END_TEST

START_TEST(strategies_are_switched)
{
	static const char *const names[] = {"eager",     "page-bit", "trap-range", "quicklist",
					    "eager-pte", "nolazy",   "legacy",     "trap"};
	struct run run;

	start("trap", "dirty");
	wait_for_pins(20);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char request[64];

		snprintf(request, sizeof(request), "{\"do\":\"strategy\",\"name\":\"%s\"}",
			 names[i]);
		expect_done(request);
		while (!guest_follows(names[i]))
			usleep(10000);
		wait_for_pins(20);
	}
	end(&run);
	run_free(&run);
}
END_TEST

/* Of what the guest itself counts, nothing moves. */
START_TEST(paused_and_resumed)
{
	struct run run;

	start("trap", "dirty");
	for (int i = 0; i < 5; i++) {
		json_t *before, *after;

		wait_for_pins(10);
		expect_done("{\"do\":\"pause\"}");
		before = ask("{\"do\":\"statistics\"}");
		usleep(50000);
		after = ask("{\"do\":\"statistics\"}");
		ck_assert(json_equal(json_object_get(before, "guest"),
				     json_object_get(after, "guest")));
		json_decref(before);
		json_decref(after);
		expect_done("{\"do\":\"resume\"}");
	}
	wait_for_pins(10);
	expect_done("{\"do\":\"pause\"}");
	end(&run); /* paused as it is */
	run_free(&run);
}
END_TEST

/* Of a guest that stands still, as many frames are pinned as the tracker says, and none of them has
 * an alias. */
START_TEST(frames_are_shown)
{
	struct run now = {0}, run;
	int64_t pinned = 0, expected;

	start("trap", "dirty");
	wait_for_pins(20);
	expect_done("{\"do\":\"pause\"}");
	now.stats = ask("{\"do\":\"statistics\"}");
	expected = stat_of(&now, "tracker.pinned");
	run_free(&now);
	ck_assert_int_gt(expected, 0);
	for (int64_t pfn = 256; pinned < expected && pfn < 128 << 8; pfn++) {
		char request[64];

		snprintf(request, sizeof(request), "{\"do\":\"frame\",\"pfn\":%lld}",
			 (long long)pfn);
		now.stats = ask(request);
		ck_assert_int_eq(stat_of(&now, "pfn"), pfn);
		if (stat_of(&now, "pinned_level") > 0) {
			pinned++;
			ck_assert_int_eq(stat_of(&now, "alias_count"), 0);
		}
		run_free(&now);
	}
	ck_assert_int_eq(pinned, expected);
	expect_done("{\"do\":\"resume\"}");
	wait_for_pins(10);
	end(&run);
	run_free(&run);
}
END_TEST

static void ctl(struct run *run, const char *name, const char *argument)
{
	const char *const argv[] = {path_vmm(), "ctl", socket_path, name, argument, NULL};

	run_program(run, NULL, argv);
}

START_TEST(vmm_ctl)
{
	struct run run;
	json_t *answer;

	start("trap", "dirty");
	wait_for_pins(10);
	ctl(&run, "statistics", NULL);
	expect_status(&run, 0);
	answer = json_loads(run.out, 0, NULL);
	ck_assert(json_is_object(json_object_get(answer, "pins")));
	json_decref(answer);
	run_free(&run);
	ctl(&run, "track", "scan");
	expect_status(&run, 0);
	expect_contains(run.out, "\"track\": \"scan\"");
	run_free(&run);
	ctl(&run, "frame", "0x200");
	expect_status(&run, 0);
	expect_contains(run.out, "\"pfn\": 512");
	run_free(&run);
	ctl(&run, "audit", NULL);
	expect_status(&run, 0);
	expect_contains(run.out, " page tables");
	expect_contains(run.out, "\nLooked at:\n  source      vmm ");
	expect_contains(run.out, "\nPage tables that have another, writable mapping: ");
	run_free(&run);
	ctl(&run, "audit", "--json");
	expect_status(&run, 0);
	answer = json_loads(run.out, 0, NULL);
	ck_assert_int_gt(
		json_integer_value(json_object_get(json_object_get(answer, "looked_at"), "tables")),
		4);
	ck_assert(json_is_array(json_object_get(answer, "findings")));
	json_decref(answer);
	run_free(&run);
	run_program(&run, NULL,
		    (const char *const[]){path_vmm(), "top", "-i", "0.2", "-n", "3", socket_path,
					  NULL});
	expect_status(&run, 0);
	expect_contains(run.out, "pins/s");
	expect_contains(run.out, "trap        scan");
	run_free(&run);
	ctl(&run, "map", tmp_file("map.svg"));
	expect_status(&run, 0);
	run_free(&run);
	ctl(&run, "map", "-");
	expect_status(&run, 0);
	expect_contains(run.out, "cells with page tables");
	run_free(&run);
	ctl(&run, "map", tmp_file("no/map.svg"));
	expect_status(&run, 74);
	run_free(&run);
	ctl(&run, "strategy", "none");
	expect_status(&run, 1);
	expect_one_sentence(&run, "at the start");
	run_free(&run);
	ctl(&run, "frame", "1x");
	expect_status(&run, 64);
	expect_one_sentence(&run, "not a request");
	run_free(&run);
	ctl(&run, "pause", "--json");
	expect_status(&run, 64);
	expect_contains(run.err, "--json is for audit");
	run_free(&run);
	/* A second vmm doesn't take the socket away. */
	RUN(&run, "--control", socket_path, path_guest());
	expect_status(&run, 71);
	expect_one_sentence(&run, "a socket in use");
	run_free(&run);
	end(&run);
	run_free(&run);
	ctl(&run, "pause", NULL);
	expect_status(&run, 69);
	expect_one_sentence(&run, "no vmm at");
	run_free(&run);
}
END_TEST

/* In a process of another user; what connect() said, or 0 if the answer was a refusal. */
static int connect_as_nobody(void)
{
	pid_t pid = fork();
	int status, fd;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char text[128] = "";

		if (setuid(NOBODY))
			_exit(126);
		fd = connect_socket();
		if (fd < 0)
			_exit(errno);
		_exit(read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "another user") ? 0
											   : 125);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

START_TEST(another_user)
{
	struct run run;

	if (geteuid() != 0) {
		printf("skip another_user: only root can become somebody else\n");
		return;
	}
	start("trap", "dirty");
	ck_assert_int_eq(chmod(path_tmp(), 0711), 0);
	ck_assert_int_eq(connect_as_nobody(), EACCES);
	/* Even where the file lets him: */
	ck_assert_int_eq(chmod(socket_path, 0666), 0);
	ck_assert_int_eq(connect_as_nobody(), 0);
	ck_assert_int_eq(chmod(path_tmp(), 0700), 0);
	wait_for_pins(10);
	end(&run);
	run_free(&run);
}
END_TEST

Suite *control_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("control");

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, track_modes_are_switched, 0, 3);
	tcase_add_test(tc, strategies_are_switched);
	tcase_add_test(tc, paused_and_resumed);
	tcase_add_test(tc, frames_are_shown);
	tcase_add_test(tc, vmm_ctl);
	tcase_add_test(tc, another_user);
	suite_add_tcase(suite, tc);
	return suite;
}

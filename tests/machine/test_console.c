/* SPDX-License-Identifier: MIT */
/* The console: input from wherever it comes, and a terminal that is whole again on every path. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "run.h"
#include "suites.h"
#include "terminal.h"

START_TEST(input_reaches_the_guest)
{
	const char *const args[] = {path_guest(), "--", "workload=echo", NULL};
	struct run run;

	run_vmm(&run, "first line\nsecond line\nquit\n", args);
	expect_status(&run, 0);
	expect_contains(run.out, "first line");
	expect_contains(run.out, "second line");
	run_free(&run);
}
END_TEST

/* More than the guest has room for waits outside of it, and none is lost: a line longer than all
 * buffers, then many at once. */
START_TEST(much_input_arrives_whole)
{
	const char *const args[] = {path_guest(), "--", "workload=echo", NULL};
	char text[8192];
	size_t len = 600;
	struct run run;

	memset(text, 'x', len);
	text[len++] = '\n';
	for (int i = 0; i < 120; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"line %d of what is pasted at once\n", i);
	strcpy(text + len, "quit\n");
	run_vmm(&run, text, args);
	expect_status(&run, 0);
	text[len] = '\0';
	expect_contains(run.out, text);
	run_free(&run);
}
END_TEST

START_TEST(closed_standard_streams)
{
	static const char *const redirections[] = {"<&-", "</dev/null", "</dev/zero", "2>&-"};
	char command[8192];
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	struct run run;

	snprintf(command, sizeof(command), "'%s' '%s' -- workload=exit status=5 %s", path_vmm(),
		 path_guest(), redirections[_i]);
	run_program(&run, NULL, argv);
	expect_status(&run, 5);
	run_free(&run);
}
END_TEST

/* A reader that goes away must not cost the guest its exit status. */
START_TEST(output_into_a_closed_pipe)
{
	char command[8192];
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	struct run run;

	snprintf(command, sizeof(command),
		 "{ '%s' '%s' -- workload=exit status=5; echo $? >'%s'; } | :", path_vmm(),
		 path_guest(), tmp_file("status"));
	run_program(&run, NULL, argv);
	run_free(&run);
	FILE *file = fopen(tmp_file("status"), "r");
	int status = -1;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%d", &status), 1);
	fclose(file);
	ck_assert_int_eq(status, 5);
}
END_TEST

/* Until the pipe, of one page, takes no more for a while. */
static void wait_until_stuck(int pipe)
{
	int before = 0, now = 0;

	for (int i = 0; i < 600 && (now == 0 || now != before); i++) {
		before = now;
		usleep(100000);
		ck_assert_int_eq(ioctl(pipe, FIONREAD, &now), 0);
	}
	ck_assert_int_gt(now, 0);
}

static bool ends_by(pid_t pid, int signal)
{
	for (int i = 0; i < 300; i++) {
		kill(pid, signal);
		usleep(100000);
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return false;
}

/* Neither standard output nor standard error is read, input waits, and vCPUs have much to say: the
 * main thread ends it all the same. */
START_TEST(stuck_output_does_not_keep_it)
{
	const char *workload = _i == 0 ? "workload=demo" : "workload=process";
	const char *const argv[] = {path_vmm(),      "-v",        path_guest(), "--", workload,
				    "iters=1000000", "alias=100", NULL};
	int in[2], out[2];
	pid_t pid;

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	fcntl(out[1], F_SETPIPE_SZ, 4096);
	ck_assert_int_eq(write(in[1], "input\n", 6), 6);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], _i == 0 ? 1 : 2);
		dup2(open(tmp_file("other"), O_CREAT | O_WRONLY, 0600), _i == 0 ? 2 : 1);
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	wait_until_stuck(out[0]);
	ck_assert(ends_by(pid, SIGTERM));
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}
END_TEST

START_TEST(typed_lines_come_back)
{
	struct terminal t;

	START(&t, path_guest(), "--", "workload=echo");
	terminal_wait_for(&t, "quit");
	terminal_expect_raw(&t);
	ck_assert_int_eq(write(t.master, "abc\r", 4), 4);
	terminal_wait_for(&t, "abc");
	ck_assert_int_eq(write(t.master, "quit\r", 5), 5);
	ck_assert_int_eq(terminal_end(&t), 0);
}
END_TEST

START_TEST(ctrl_a_x_leaves)
{
	struct terminal t;

	START(&t, path_guest(), "--", "workload=echo");
	terminal_wait_for(&t, "quit");
	ck_assert_int_eq(write(t.master, "\001x", 2), 2);
	ck_assert_int_eq(terminal_end(&t), 82);
}
END_TEST

START_TEST(the_terminal_survives_a_timeout)
{
	struct terminal t;

	START(&t, "--timeout", "4", path_guest(), "--", "workload=echo");
	terminal_wait_for(&t, "quit");
	terminal_expect_raw(&t);
	ck_assert_int_eq(terminal_end(&t), 75);
}
END_TEST

START_TEST(the_terminal_survives_signals)
{
	const int signals[] = {SIGTERM, SIGHUP, SIGSEGV, SIGQUIT, SIGUSR2, SIGXCPU, SIGRTMAX};
	const char *socket = tmp_file("socket");
	struct terminal t;

	START(&t, "--control", socket, path_guest(), "--", "workload=echo");
	terminal_wait_for(&t, "quit");
	terminal_expect_raw(&t);
	ck_assert_int_eq(access(socket, F_OK), 0);
	ck_assert_int_eq(kill(t.pid, signals[_i]), 0);
	ck_assert_int_eq(terminal_end(&t), 128 + signals[_i]);
	ck_assert_int_lt(access(socket, F_OK), 0);
}
END_TEST

Suite *console_suite(void)
{
	Suite *suite = suite_create("console");
	TCase *tc = tcase_create("console");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, input_reaches_the_guest);
	tcase_add_test(tc, much_input_arrives_whole);
	tcase_add_loop_test(tc, closed_standard_streams, 0, 4);
	tcase_add_test(tc, output_into_a_closed_pipe);
	tcase_add_loop_test(tc, stuck_output_does_not_keep_it, 0, 2);
	tcase_add_test(tc, typed_lines_come_back);
	tcase_add_test(tc, ctrl_a_x_leaves);
	tcase_add_test(tc, the_terminal_survives_a_timeout);
	tcase_add_loop_test(tc, the_terminal_survives_signals, 0, 7);
	suite_add_tcase(suite, tc);
	return suite;
}

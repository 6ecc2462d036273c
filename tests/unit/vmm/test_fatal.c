/* SPDX-License-Identifier: MIT */
/* Signals that end the program: which there are, and what they leave behind. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "events.h"
#include "fatal.h"
#include "kvm/thread.h"
#include "options.h"
#include "sandbox/trap.h"
#include "suites.h"

static char path[] = "/tmp/unit-vmm-XXXXXX";

static void set_up(void)
{
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void tear_down(void)
{
	unlink(path);
}

/* The status of a child process that had made the file. */
static int end_of_child(int signal)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
		fatal_handle(signal);
		if (fatal_file_made(FATAL_CONTROL, path))
			_exit(2);
		raise(signal);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(nothing_is_left_behind)
{
	static const int signals[] = {SIGTERM, SIGQUIT, SIGUSR2};

	int status = end_of_child(signals[_i]);

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), signals[_i]);
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

/* Of a container's first process the kernel does not make an end by a signal's default action. */
START_TEST(the_first_process_ends_too)
{
	int status;
	pid_t pid = fork(); /* what a sanitizer does at our end needs our own processes */

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWPID))
			_exit(0); /* it may not */
		status = end_of_child(SIGTERM);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 0)
		return;
	ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGTERM);
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

static void *crash(void *arg)
{
	raise(*(int *)arg);
	return NULL;
}

static void *crash_by_itself(void *arg)
{
	(void)arg;
	__builtin_trap();
}

/* With all signals blocked, of which crashes must not be. */
static void start_thread(int *number)
{
	const struct thread_job job = {
		.kind = SANDBOX_DISK,
		.stack = 65536,
		.run = *number ? crash : crash_by_itself,
		.arg = number,
	};
	pthread_t thread;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (thread_start(&thread, &job))
		_exit(2);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* The sandbox lets the main thread alone remove files: it does so for the others. */
START_TEST(nothing_is_left_behind_by_another_thread)
{
	static const int signals[] = {SIGSEGV, SIGABRT, SIGSYS, SIGURG, 0};
	int number = signals[_i], status;
	sigset_t blocked;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		/* A sanitizer has handlers of its own. */
		for (int i = 1; i < NSIG; i++)
			(void)sigaction(i, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
		sigemptyset(&blocked);
		sigaddset(&blocked, SIGURG); /* by whoever has started us */
		sigprocmask(SIG_BLOCK, &blocked, NULL);
		fatal_install(NULL);
		sandbox_trap_install(fatal_clean_up);
		if (fatal_file_made(FATAL_CONTROL, path))
			_exit(2);
		raise(SIGURG);
		if (access(path, F_OK))
			_exit(3); /* it is the signal by which a thread asks, but none has */
		if (number == SIGURG)
			_exit(0);
		start_thread(&number);
		for (;;)
			pause();
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (number == SIGURG) {
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		return;
	}
	ck_assert_msg(WIFSIGNALED(status), "it exited with %d", WEXITSTATUS(status));
	ck_assert_int_eq(WTERMSIG(status), number ? number : SIGILL);
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

START_TEST(what_is_not_ours_stays)
{
	ck_assert_int_eq(fatal_file_made(FATAL_CONTROL, path), 0);
	fatal_file_keep(FATAL_CONTROL);
	fatal_file_remove(FATAL_CONTROL);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(fatal_file_made(FATAL_CONTROL, path), 0);
	/* Another file by that name; the old one is kept, or its number might come again. */
	ck_assert_int_ge(open(path, O_RDONLY), 0);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	fatal_file_remove(FATAL_CONTROL);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* Of all that there are, those alone have their default that don't end a process, or that nobody
 * can change. */
START_TEST(every_signal_is_seen_to)
{
	const struct options opt = {0};
	struct events events;
	static const int harmless[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,
				       SIGCHLD, SIGURG,  SIGCONT, SIGWINCH};
	sigset_t without;

	sigemptyset(&without);
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		sigaddset(&without, harmless[i]);
	/* Some are handled by the tests themselves. */
	for (int i = 1; i < NSIG; i++)
		if (!sigismember(&without, i))
			signal(i, SIG_DFL);
	fatal_install(NULL);
	sandbox_trap_install(fatal_clean_up);
	ck_assert_int_eq(events_open(&events, &opt), 0);
	for (int i = 1; i < NSIG; i++) {
		struct sigaction action;

		/* 32 and 33 are the C library's own. */
		if (sigaction(i, NULL, &action) < 0 || sigismember(&without, i))
			continue;
		ck_assert_msg(action.sa_handler != SIG_DFL, "signal %d", i);
	}
}
END_TEST

TCase *fatal_tests(void)
{
	TCase *tc = tcase_create("fatal");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, nothing_is_left_behind, 0, 3);
	tcase_add_test(tc, the_first_process_ends_too);
	tcase_add_loop_test(tc, nothing_is_left_behind_by_another_thread, 0, 5);
	tcase_add_test(tc, what_is_not_ours_stays);
	tcase_add_test(tc, every_signal_is_seen_to);
	return tc;
}

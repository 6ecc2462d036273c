/* SPDX-License-Identifier: MIT */
/* Standard error that takes nothing for a while: no thread waits, and what is lost is told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "say.h"
#include "suites.h"

static int reader; /* of what is standard error here */

static void set_up(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	/* The one that others share may wait. */
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 4096);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	ck_assert_int_eq(say_start(), 0);
}

static void tear_down(void)
{
	close(reader);
}

/* All that has come, with its end. */
static size_t take(char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(reader, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

/* As the main thread does. */
static bool serve(void)
{
	struct pollfd fd;

	say_poll(&fd);
	if (poll(&fd, 1, 0) != 1)
		return false;
	say_serve();
	return true;
}

START_TEST(a_reader_that_keeps_up)
{
	char text[256];

	say("one %d", 1);
	take(text, sizeof(text));
	ck_assert_str_eq(text, "vmm: one 1\n");
	ck_assert(!serve());
	say_stop();
}
END_TEST

/* What a peer or a file says may be in it. */
START_TEST(no_line_has_control_characters)
{
	char text[256];

	say("one%s", "\033[31m\ntwo\x7f \xc3\xa4");
	take(text, sizeof(text));
	ck_assert_str_eq(text, "vmm: one?[31m?two? \xc3\xa4\n");
	say_stop();
}
END_TEST

/* With the error that is given, whatever errno says; it stays. */
START_TEST(an_error_that_was_returned)
{
	char text[256];

	errno = EBADF;
	ck_assert_int_eq(say_error(-ENOENT, "two %d", 2), -ENOENT);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(say_errno("three"), -EBADF);
	take(text, sizeof(text));
	ck_assert_str_eq(text, "vmm: two 2: No such file or directory\n"
			       "vmm: three: Bad file descriptor\n");
	say_stop();
}
END_TEST

/* More than the pipe has room for, and less than is kept: in order, without a gap. */
START_TEST(a_slow_reader)
{
	static char all[65536];
	char expected[64];
	size_t len = 0;
	const char *at = all;

	for (int i = 0; i < 1000; i++)
		say("line %d", i);
	while (len == 0 || serve())
		len += take(all + len, sizeof(all) - len);
	for (int i = 0; i < 1000; i++) {
		int n = snprintf(expected, sizeof(expected), "vmm: line %d\n", i);

		ck_assert_msg(!strncmp(at, expected, (size_t)n), "line %d: %.20s", i, at);
		at += n;
	}
	ck_assert_uint_eq(*at, 0);
	say_stop();
}
END_TEST

static void *say_much(void *arg)
{
	for (int i = 0; i < 10000; i++)
		say("a line of some forty characters, number %d", i);
	return arg;
}

/* Whoever says something goes on, and so does the main thread. */
START_TEST(nobody_reads)
{
	static char all[1 << 20];
	pthread_t threads[2];
	size_t len = 0;

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, say_much, NULL), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	while (len == 0 || serve())
		len += take(all + len, sizeof(all) - len);
	ck_assert_ptr_nonnull(strstr(all, "lines are missing here"));
	say("the next");
	take(all, sizeof(all));
	ck_assert_str_eq(all, "vmm: the next\n");
	say_stop();
}
END_TEST

START_TEST(the_reader_is_gone)
{
	signal(SIGPIPE, SIG_IGN);
	close(reader);
	reader = -1;
	for (int i = 0; i < 1000; i++)
		say("line %d", i);
	ck_assert(!serve());
	say_stop();
}
END_TEST

TCase *say_tests(void)
{
	TCase *tc = tcase_create("say");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_reader_that_keeps_up);
	tcase_add_test(tc, no_line_has_control_characters);
	tcase_add_test(tc, an_error_that_was_returned);
	tcase_add_test(tc, a_slow_reader);
	tcase_add_test(tc, nobody_reads);
	tcase_add_test(tc, the_reader_is_gone);
	return tc;
}

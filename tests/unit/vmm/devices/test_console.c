/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "devices/console.h"
#include "suites.h"

static struct console *console;
static int out, stop;

static void first_char(void *ctx)
{
	(void)ctx;
}

static void set_up(void)
{
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDOUT_FILENO);
	close(fds[1]);
	out = fds[0];
	stop = eventfd(0, 0);
	console = console_create(stop, first_char, NULL);
	ck_assert_ptr_nonnull(console);
}

static void tear_down(void)
{
	console_destroy(console);
	close(out);
	close(stop);
}

static void put(const char *text)
{
	while (*text)
		console_put(console, *text++);
	console_end(console);
}

static bool readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void expect(const char *text)
{
	char got[4096] = "";

	ck_assert_int_eq(read(out, got, sizeof(got)), (ssize_t)strlen(text));
	ck_assert_str_eq(got, text);
}

START_TEST(a_line_is_shown_at_once)
{
	put("one\n");
	expect("one\n");
	put("two\nthree\nfo");
	expect("two\nthree\nfo");
}
END_TEST

START_TEST(a_part_is_shown_a_moment_later)
{
	struct pollfd timer = {.fd = console_timer_fd(console), .events = POLLIN};

	put("log");
	put("in: ");
	ck_assert(!readable(out));
	ck_assert_int_eq(poll(&timer, 1, -1), 1);
	console_tick(console);
	expect("login: ");
	ck_assert(!readable(timer.fd));
}
END_TEST

START_TEST(draining_shows_the_rest)
{
	put("rest");
	console_drain(console);
	expect("rest");
}
END_TEST

static void fill(void)
{
	char block[4096];
	int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK);

	memset(block, '.', sizeof(block));
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

static void *put_much(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4096; i++)
		put("x\n");
	return NULL;
}

/* The main thread goes on beside a vCPU that waits, and stopping sets it free. */
START_TEST(nobody_reads)
{
	uint64_t one = 1;
	pthread_t thread;

	fill();
	put("part");
	ck_assert_int_eq(pthread_create(&thread, NULL, put_much, NULL), 0);
	for (int i = 0; i < 100; i++)
		console_tick(console);
	ck_assert_int_eq(write(stop, &one, sizeof(one)), sizeof(one));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	close(out);
	out = -1;
}
END_TEST

/* Nothing is lost and nothing changes places when the reader is slow. */
START_TEST(slow_reader)
{
	char buffer[4096];
	pthread_t thread;
	size_t got = 0;

	fill();
	ck_assert_int_eq(pthread_create(&thread, NULL, put_much, NULL), 0);
	while (got < 8192) {
		ssize_t n = read(out, buffer, sizeof(buffer));

		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++) {
			if (buffer[i] == '.')
				continue;
			ck_assert_int_eq(buffer[i], got % 2 ? '\n' : 'x');
			got++;
		}
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(the_reader_is_gone)
{
	close(out);
	put("one\n");
	put("two\n");
	out = -1;
	ck_assert(console_drain(console));
}
END_TEST

/* What somebody wanted and did not get is an error; what nobody is there for is none. */
START_TEST(output_that_is_lost)
{
	static const struct {
		const char *path;
		int flags;
		bool whole;
	} cases[] = {{"/dev/full", O_WRONLY, false},
		     {"/dev/null", O_WRONLY, true},
		     {"/dev/null", O_RDONLY, true}};
	int fd = open(cases[_i].path, cases[_i].flags);
	struct console *other;

	dup2(fd, STDOUT_FILENO);
	close(fd);
	other = console_create(stop, first_char, NULL);
	ck_assert_ptr_nonnull(other);
	console_put(other, '\n');
	console_end(other);
	ck_assert_int_eq(console_drain(other), cases[_i].whole);
	console_destroy(other);
}
END_TEST

TCase *console_tests(void)
{
	TCase *tc = tcase_create("console");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_line_is_shown_at_once);
	tcase_add_test(tc, a_part_is_shown_a_moment_later);
	tcase_add_test(tc, draining_shows_the_rest);
	tcase_add_test(tc, nobody_reads);
	tcase_add_test(tc, slow_reader);
	tcase_add_test(tc, the_reader_is_gone);
	tcase_add_loop_test(tc, output_that_is_lost, 0, 3);
	return tc;
}

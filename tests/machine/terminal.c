/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>
#include "run.h"

void terminal_start(struct terminal *t, const char *const args[])
{
	const char *argv[32] = {path_vmm()};
	const struct winsize size = {.ws_col = 80, .ws_row = 24};
	int slave;

	memset(t, 0, sizeof(*t));
	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	ck_assert_int_eq(openpty(&t->master, &slave, NULL, NULL, &size), 0);
	ck_assert_int_eq(tcgetattr(t->master, &t->before), 0);
	ck_assert_int_ne(t->before.c_lflag & ICANON, 0);
	t->pid = fork();
	ck_assert_int_ge(t->pid, 0);
	if (t->pid == 0) {
		close(t->master);
		login_tty(slave);
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	/* The slave stays open here, so that its settings outlive the program. */
}

static void wait_from(struct terminal *t, size_t from, const char *text)
{
	while (!strstr(t->seen + from, text)) {
		struct pollfd fd = {.fd = t->master, .events = POLLIN};
		ssize_t n;

		ck_assert_msg(poll(&fd, 1, 60000) == 1, "no \"%s\" in:\n%s", text, t->seen);
		n = read(t->master, t->seen + t->len, sizeof(t->seen) - 1 - t->len);
		ck_assert_msg(n > 0, "ended without \"%s\":\n%s", text, t->seen);
		t->len += n;
	}
}

void terminal_wait_for(struct terminal *t, const char *text)
{
	wait_from(t, 0, text);
}

void terminal_expect(struct terminal *t, const char *typed, const char *text)
{
	size_t from = t->len;

	ck_assert_int_eq(write(t->master, typed, strlen(typed)), (ssize_t)strlen(typed));
	wait_from(t, from, text);
}

void terminal_resize(const struct terminal *t, unsigned short columns, unsigned short rows)
{
	const struct winsize size = {.ws_col = columns, .ws_row = rows};

	ck_assert_int_eq(ioctl(t->master, TIOCSWINSZ, &size), 0);
}

int terminal_end(struct terminal *t)
{
	struct termios after;
	int status;

	while (waitpid(t->pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(tcgetattr(t->master, &after), 0);
	ck_assert_uint_eq(after.c_lflag, t->before.c_lflag);
	ck_assert_uint_eq(after.c_iflag, t->before.c_iflag);
	ck_assert_uint_eq(after.c_oflag, t->before.c_oflag);
	close(t->master);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void terminal_expect_raw(const struct terminal *t)
{
	struct termios now;

	ck_assert_int_eq(tcgetattr(t->master, &now), 0);
	ck_assert_int_eq(now.c_lflag & (ICANON | ECHO), 0);
}

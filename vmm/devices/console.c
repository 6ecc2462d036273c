/* SPDX-License-Identifier: MIT */
#include "devices/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "say.h"

#define BUFFER_SIZE  1024u
#define PARTIAL_NS   10000000 /* a line without its end is shown after 10 ms */
#define LAST_WAIT_MS 5000     /* at the end: no longer than this for nothing */

struct console {
	int fd;      /* what we write to */
	int own_fd;  /* the same file opened anew without blocking, or -1 */
	int stop_fd; /* not ours */
	int timer_fd;
	void (*first_char)(void *ctx);
	void *ctx;

	pthread_mutex_t lock; /* guards all below */
	bool closed;          /* nobody will read: everything is dropped */
	bool begun;           /* there was a first character */
	bool timer_set;
	size_t nr;
	uint8_t buffer[BUFFER_SIZE];
};

/* A pipe or terminal is shared with others, who expect it to block: only a new opening may be made
 * non-blocking. Where that is not possible, poll() before each write has to do. */
static int reopen_nonblocking(int fd)
{
	char path[32];
	struct stat st;

	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return -1;
	if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

struct console *console_create(int stop_fd, void (*first_char)(void *ctx), void *ctx)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console) {
		say_errno("memory for the console");
		return NULL;
	}
	console->stop_fd = stop_fd;
	console->first_char = first_char;
	console->ctx = ctx;
	console->own_fd = reopen_nonblocking(STDOUT_FILENO);
	console->fd = console->own_fd >= 0 ? console->own_fd : STDOUT_FILENO;
	console->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	pthread_mutex_init(&console->lock, NULL);
	if (console->timer_fd < 0) {
		say_errno("timerfd_create");
		console_destroy(console);
		return NULL;
	}
	return console;
}

static void set_timer(struct console *console)
{
	struct itimerspec soon = {.it_value = {.tv_nsec = PARTIAL_NS}};

	timerfd_settime(console->timer_fd, 0, &soon, NULL);
}

/* One write of what the buffer holds, for which standard output is ready. */
static void write_some(struct console *console)
{
	ssize_t n = write(console->fd, console->buffer, console->nr);

	if (n >= 0) {
		console->nr -= n;
		memmove(console->buffer, console->buffer + n, console->nr);
	} else if (errno != EINTR && errno != EAGAIN) {
		say_errno("standard output, what the guest prints is dropped from here on");
		console->closed = true;
		console->nr = 0;
	}
}

/* Waits up to `timeout` ms (-1: without end) until standard output takes something; false if it
 * did not, or `stop_fd` (-1: none) was first. */
static bool wait_writable(const struct console *console, int stop_fd, int timeout)
{
	struct pollfd fds[] = {
		{.fd = console->fd, .events = POLLOUT},
		{.fd = stop_fd, .events = POLLIN},
	};

	while (poll(fds, 2, timeout) < 0)
		if (errno != EINTR)
			return false;
	return fds[0].revents != 0;
}

static void flush(struct console *console)
{
	while (console->nr > 0 && wait_writable(console, console->stop_fd, -1))
		write_some(console);
}

/* Takes what there is room for; returns how much that was. Once the machine is stopping there may
 * be no room: then the rest is dropped. */
static size_t take(struct console *console, const uint8_t *bytes, size_t nr)
{
	size_t room;

	if (console->nr == BUFFER_SIZE)
		flush(console);
	room = BUFFER_SIZE - console->nr;
	if (console->closed || room == 0)
		return nr;
	if (nr > room)
		nr = room;
	memcpy(console->buffer + console->nr, bytes, nr);
	console->nr += nr;
	return nr;
}

void console_write(struct console *console, const uint8_t *bytes, size_t nr)
{
	pthread_mutex_lock(&console->lock);
	if (!console->begun)
		console->first_char(console->ctx);
	console->begun = true;
	for (size_t done = 0; done < nr;)
		done += take(console, bytes + done, nr - done);
	pthread_mutex_unlock(&console->lock);
}

void console_put(struct console *console, uint8_t byte)
{
	console_write(console, &byte, 1);
}

void console_end(struct console *console)
{
	pthread_mutex_lock(&console->lock);
	if (memchr(console->buffer, '\n', console->nr)) {
		flush(console);
	} else if (console->nr > 0 && !console->timer_set) {
		console->timer_set = true;
		set_timer(console);
	}
	pthread_mutex_unlock(&console->lock);
}

int console_timer_fd(const struct console *console)
{
	return console->timer_fd;
}

void console_tick(struct console *console)
{
	uint64_t expired;

	if (read(console->timer_fd, &expired, sizeof(expired)) < 0)
		return;
	/* A vCPU that has the lock may be waiting for standard output: come again. */
	if (pthread_mutex_trylock(&console->lock)) {
		set_timer(console);
		return;
	}
	if (console->nr > 0 && wait_writable(console, -1, 0))
		write_some(console);
	console->timer_set = console->nr > 0;
	if (console->timer_set)
		set_timer(console);
	pthread_mutex_unlock(&console->lock);
}

void console_drain(struct console *console)
{
	while (console->nr > 0 && wait_writable(console, -1, LAST_WAIT_MS))
		write_some(console);
	if (console->nr > 0)
		say("standard output takes nothing: the guest's last %zu characters are dropped",
		    console->nr);
	console->nr = 0;
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	if (console->own_fd >= 0)
		close(console->own_fd);
	if (console->timer_fd >= 0)
		close(console->timer_fd);
	pthread_mutex_destroy(&console->lock);
	free(console);
}

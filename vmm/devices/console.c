/* SPDX-License-Identifier: MIT */
#include "devices/console.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "nonblocking.h"
#include "say.h"

#define BUFFER_SIZE  1024u
#define PARTIAL_NS   10000000 /* an unfinished line is shown after 10 ms */
#define LAST_WAIT_MS 5000     /* at the end: how long to wait while nothing is taken */

struct console {
	struct nonblocking out;
	int stop_fd; /* not owned */
	int timer_fd;
	void (*first_char)(void *ctx);
	void *ctx;

	pthread_mutex_t lock; /* guards all below */
	bool closed;          /* there will be no reader: everything is dropped */
	bool lost;            /* and the loss is an error */
	bool begun;           /* there was a first character */
	bool timer_set;
	size_t nr;
	uint8_t buffer[BUFFER_SIZE];
};

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
	nonblocking_open(&console->out, STDOUT_FILENO);
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

/* One write from the buffer; standard output is ready for it. */
static void write_some(struct console *console)
{
	ssize_t n = nonblocking_write(&console->out, console->buffer, console->nr);

	if (n >= 0) {
		console->nr -= n;
		memmove(console->buffer, console->buffer + n, console->nr);
	} else if (errno != EINTR && errno != EAGAIN) {
		/* A reader that has gone, or that never was, is no error. */
		console->lost = errno != EPIPE && errno != EBADF;
		say_errno("standard output; the guest's output is dropped from now on");
		console->closed = true;
		console->nr = 0;
	}
}

static void write_buffer(struct console *console)
{
	while (console->nr > 0 && nonblocking_wait(&console->out, console->stop_fd, -1))
		write_some(console);
}

/* Copies into the buffer what there is room for; returns how much. If the machine is stopping and
 * there is no room, drops the rest. */
static size_t take_bytes(struct console *console, const uint8_t *bytes, size_t nr)
{
	size_t room;

	if (console->nr == BUFFER_SIZE)
		write_buffer(console);
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
		done += take_bytes(console, bytes + done, nr - done);
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
		write_buffer(console);
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
	/* A vCPU that holds the lock may be waiting for standard output: try again later. */
	if (pthread_mutex_trylock(&console->lock)) {
		set_timer(console);
		return;
	}
	if (console->nr > 0 && nonblocking_wait(&console->out, -1, 0))
		write_some(console);
	console->timer_set = console->nr > 0;
	if (console->timer_set)
		set_timer(console);
	pthread_mutex_unlock(&console->lock);
}

bool console_drain(struct console *console)
{
	while (console->nr > 0 && nonblocking_wait(&console->out, -1, LAST_WAIT_MS))
		write_some(console);
	if (console->nr > 0) {
		say("standard output takes nothing: the guest's last %zu characters are dropped",
		    console->nr);
		console->lost = true;
	}
	console->nr = 0;
	return !console->lost;
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	nonblocking_close(&console->out);
	if (console->timer_fd >= 0)
		close(console->timer_fd);
	pthread_mutex_destroy(&console->lock);
	free(console);
}

/* SPDX-License-Identifier: MIT */
#include "say.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "nonblocking.h"
#include "plain_text.h"

#define LINE_MAX_LENGTH 512
#define QUEUE_SIZE      65536u
#define LAST_WAIT_MS    5000 /* at the end: how long to wait while nothing is taken */

/* What lines begin with. Set before other threads exist. */
static const char *program = "vmm";

void say_as(const char *name)
{
	program = name;
}

static struct {
	pthread_mutex_t lock; /* guards all below; never held while waiting */
	bool started;
	struct nonblocking out;
	int ready_fd;     /* eventfd: readable when something is queued */
	unsigned dropped; /* number of lines lost since the last line written */
	size_t nr;
	char bytes[QUEUE_SIZE];
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Writes as much as standard error takes now; returns how much. If it fails, no message can be
 * given, and everything counts as written. */
static size_t write_now(const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = nonblocking_write(&queue.out, text + done, len - done);

		if (n < 0 && errno == EAGAIN)
			return done;
		if (n < 0 && errno != EINTR)
			return len;
		done += n > 0 ? (size_t)n : 0;
	}
	return done;
}

static void enqueue_line(const char *text, size_t len)
{
	uint64_t one = 1;

	/* After a loss, lines wait until the line that reports the loss is written. */
	if (queue.dropped || len > QUEUE_SIZE - queue.nr) {
		queue.dropped++;
		return;
	}
	memcpy(queue.bytes + queue.nr, text, len);
	queue.nr += len;
	if (write(queue.ready_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

static void write_queued(void)
{
	size_t done = write_now(queue.bytes, queue.nr);

	queue.nr -= done;
	memmove(queue.bytes, queue.bytes + done, queue.nr);
	if (queue.dropped && queue.nr == 0) {
		char line[LINE_MAX_LENGTH];
		int len = snprintf(line, sizeof(line),
				   "%s: %u lines are missing here: standard error took nothing\n",
				   program, queue.dropped);

		queue.dropped = 0;
		done = write_now(line, (size_t)len);
		enqueue_line(line + done, (size_t)len - done);
	}
}

static void put_line(const char *line, size_t len)
{
	size_t done = 0;

	if (!queue.started) {
		if (write(STDERR_FILENO, line, len) < 0)
			return; /* there is no one left to tell */
		return;
	}
	pthread_mutex_lock(&queue.lock);
	write_queued();
	if (queue.nr == 0)
		done = write_now(line, len);
	if (done < len)
		enqueue_line(line + done, len - done);
	pthread_mutex_unlock(&queue.lock);
}

static void say_line(const char *fmt, va_list args, const char *suffix)
{
	char line[LINE_MAX_LENGTH];
	size_t room = sizeof(line) - 1; /* for the newline */
	size_t len = (size_t)snprintf(line, room / 4, "%s: ", program);
	int n;

	len = len < room / 4 ? len : room / 4 - 1;
	n = vsnprintf(line + len, room - len, fmt, args);

	if (n > 0)
		len = (size_t)n < room - len ? len + (size_t)n : room - 1;
	plain_text(line, len);
	if (suffix) {
		n = snprintf(line + len, room - len, ": %s", suffix);
		if (n > 0)
			len = (size_t)n < room - len ? len + (size_t)n : room - 1;
	}
	line[len++] = '\n';
	put_line(line, len);
}

void say(const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	say_line(fmt, args, NULL);
	va_end(args);
	errno = saved;
}

static void say_reason(const char *fmt, va_list args, int err)
{
	char reason[128];

	say_line(fmt, args, strerror_r(-err, reason, sizeof(reason)));
}

int say_errno(const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	say_reason(fmt, args, -saved);
	va_end(args);
	errno = saved;
	return -saved;
}

int say_error(int err, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	say_reason(fmt, args, err);
	va_end(args);
	errno = saved;
	return err;
}

int say_start(void)
{
	queue.ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue.ready_fd < 0)
		return say_errno("eventfd");
	nonblocking_open(&queue.out, STDERR_FILENO);
	queue.started = true;
	return 0;
}

void say_poll(struct pollfd *fd)
{
	pthread_mutex_lock(&queue.lock);
	*fd = queue.nr ? (struct pollfd){.fd = queue.out.fd, .events = POLLOUT}
		       : (struct pollfd){.fd = queue.ready_fd, .events = POLLIN};
	pthread_mutex_unlock(&queue.lock);
}

void say_serve(void)
{
	uint64_t count;

	pthread_mutex_lock(&queue.lock);
	/* Not readable if the queue was full of older lines. */
	if (read(queue.ready_fd, &count, sizeof(count)) < 0)
		count = 0;
	write_queued();
	pthread_mutex_unlock(&queue.lock);
}

void say_stop(void)
{
	while (queue.nr > 0 && nonblocking_wait(&queue.out, -1, LAST_WAIT_MS))
		say_serve();
	queue.started = false;
	nonblocking_close(&queue.out);
	close(queue.ready_fd);
}

/* SPDX-License-Identifier: MIT */
#include "qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clock.h"
#include "say.h"

#define LINE_SIZE_MAX (32u << 20)
/* Lines that are no answer, as events are, before the peer is given up. */
#define STRAY_MAX 100000u

struct qmp {
	const char *path;
	int fd; /* -1: the connection is lost */
	unsigned timeout;
	uint64_t id; /* of the last command */
	char *buffer;
	size_t size, used; /* of the buffer; bytes in it that are not taken yet */
	bool paused;
	pid_t watchdog; /* 0: none */
	int watchdog_fd;
};

static int64_t now_ms(void)
{
	return (int64_t)(now_ns() / 1000000);
}

json_t *qmp_parse(const char *line, size_t len)
{
	json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (object && !json_is_object(object)) {
		json_decref(object);
		object = NULL;
	}
	return object;
}

static void lose_connection(struct qmp *qmp)
{
	close(qmp->fd);
	qmp->fd = -1;
}

/* Waits for the connection. Returns false after a message. */
static bool wait_for(struct qmp *qmp, short events, int64_t until)
{
	struct pollfd poll_fd = {.fd = qmp->fd, .events = events};
	int64_t left;
	int ready;

	do {
		left = until - now_ms();
		ready = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;
	} while (ready < 0 && errno == EINTR);
	if (ready > 0)
		return true;
	if (ready < 0)
		say_errno("poll");
	else
		say("QEMU at %s gave no answer for %u s", qmp->path, qmp->timeout);
	return false;
}

static bool send_all(struct qmp *qmp, const char *text, size_t len, int64_t until)
{
	while (len > 0) {
		ssize_t n = send(qmp->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!wait_for(qmp, POLLOUT, until))
				return false;
			continue;
		}
		if (n < 0) {
			say_errno("QEMU at %s", qmp->path);
			return false;
		}
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool grow_buffer(struct qmp *qmp)
{
	size_t size = qmp->size ? 2 * qmp->size : 65536;
	char *buffer;

	if (size > LINE_SIZE_MAX) {
		say("QEMU at %s sends a line without an end", qmp->path);
		return false;
	}
	buffer = realloc(qmp->buffer, size);
	if (!buffer) {
		say("out of memory");
		return false;
	}
	qmp->buffer = buffer;
	qmp->size = size;
	return true;
}

/* Reads some more. Returns false after a message. */
static bool receive_more(struct qmp *qmp, int64_t until)
{
	ssize_t n;

	if (qmp->used == qmp->size && !grow_buffer(qmp))
		return false;
	do {
		if (!wait_for(qmp, POLLIN, until))
			return false;
		n = recv(qmp->fd, qmp->buffer + qmp->used, qmp->size - qmp->used, MSG_DONTWAIT);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	if (n > 0) {
		qmp->used += (size_t)n;
		return true;
	}
	if (n < 0)
		say_errno("QEMU at %s", qmp->path);
	else
		say("QEMU at %s has closed the connection", qmp->path);
	return false;
}

/* Takes one line. Returns it as JSON, or NULL after a message. */
static json_t *next_line(struct qmp *qmp, int64_t until)
{
	size_t searched = 0;
	json_t *object;
	char *end;

	while (!qmp->used || !(end = memchr(qmp->buffer + searched, '\n', qmp->used - searched))) {
		searched = qmp->used;
		if (!receive_more(qmp, until))
			return NULL;
	}
	object = qmp_parse(qmp->buffer, (size_t)(end - qmp->buffer));
	qmp->used -= (size_t)(end + 1 - qmp->buffer);
	memmove(qmp->buffer, end + 1, qmp->used);
	if (!object)
		say("QEMU at %s sends what is not QMP", qmp->path);
	return object;
}

static char *command_text(uint64_t id, const char *command, json_t *arguments)
{
	json_t *object = json_pack("{s:s, s:I, s:o*}", "execute", command, "id", (json_int_t)id,
				   "arguments", arguments);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	return text;
}

/* What a line is to the command that waits. */
static json_t *take_answer(struct qmp *qmp, const char *command, json_t *line)
{
	json_t *value = json_object_get(line, "return");
	const char *why =
		json_string_value(json_object_get(json_object_get(line, "error"), "desc"));

	if (value)
		return json_incref(value);
	say("QEMU at %s refuses %s: %s", qmp->path, command, why ? why : "it does not say why");
	return NULL;
}

static json_t *wait_answer(struct qmp *qmp, const char *command, int64_t until)
{
	json_t *line, *answer;

	for (unsigned i = 0; i < STRAY_MAX; i++) {
		json_t *id;

		line = next_line(qmp, until);
		if (!line)
			break;
		id = json_object_get(line, "id");
		if (json_is_integer(id) && (uint64_t)json_integer_value(id) == qmp->id) {
			answer = take_answer(qmp, command, line);
			json_decref(line);
			return answer;
		}
		json_decref(line);
		if (i + 1 == STRAY_MAX)
			say("QEMU at %s answers everything but %s", qmp->path, command);
	}
	lose_connection(qmp);
	return NULL;
}

json_t *qmp_execute(struct qmp *qmp, const char *command, json_t *arguments)
{
	int64_t until = now_ms() + (int64_t)qmp->timeout * 1000;
	char *text;
	bool sent;

	if (qmp->fd < 0) {
		json_decref(arguments);
		return NULL;
	}
	text = command_text(++qmp->id, command, arguments);
	if (!text) {
		say("out of memory");
		return NULL;
	}
	sent = send_all(qmp, text, strlen(text), until) && send_all(qmp, "\n", 1, until);
	free(text);
	if (sent)
		return wait_answer(qmp, command, until);
	lose_connection(qmp);
	return NULL;
}

char *qmp_monitor(struct qmp *qmp, const char *line)
{
	json_t *answer =
		qmp_execute(qmp, "human-monitor-command", json_pack("{s:s}", "command-line", line));
	const char *text = json_string_value(answer);
	char *copy = text ? strdup(text) : NULL;

	if (answer && !text)
		say("QEMU at %s answers %s with what is no text", qmp->path, line);
	json_decref(answer);
	return copy;
}

/* --- connect ---------------------------------------------------------------------------------- */

static bool shake_hands(struct qmp *qmp)
{
	int64_t until = now_ms() + (int64_t)qmp->timeout * 1000;
	json_t *greeting = next_line(qmp, until), *answer;
	bool is_qmp = json_object_get(greeting, "QMP") != NULL;

	json_decref(greeting);
	if (greeting && !is_qmp)
		say("%s is no QMP socket: it greets with something else", qmp->path);
	if (!is_qmp)
		return false;
	answer = qmp_execute(qmp, "qmp_capabilities", NULL);
	json_decref(answer);
	return answer != NULL;
}

/* Returns the descriptor, or an error of qmp_open() after a message. */
static int connect_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		say("%s: the path of a socket has at most %zu characters", path,
		    sizeof(address.sun_path) - 1);
		return -ENOTCONN;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		say_errno("socket");
		return -EIO;
	}
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	say_errno("%s", path);
	close(fd);
	return -ENOTCONN;
}

struct qmp *qmp_open(const char *path, unsigned timeout, int *error)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));

	if (!qmp) {
		say("out of memory");
		*error = -ENOMEM;
		return NULL;
	}
	qmp->path = path;
	qmp->timeout = timeout;
	qmp->fd = connect_socket(path);
	*error = qmp->fd < 0 ? qmp->fd : -ENOTCONN;
	if (qmp->fd >= 0 && shake_hands(qmp)) /* which may close it */
		return qmp;
	qmp_close(qmp);
	return NULL;
}

void qmp_close(struct qmp *qmp)
{
	if (!qmp)
		return;
	if (qmp->paused)
		qmp_resume(qmp);
	if (qmp->fd >= 0)
		close(qmp->fd);
	free(qmp->buffer);
	free(qmp);
}

pid_t qmp_peer(const struct qmp *qmp)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (qmp->fd < 0 || getsockopt(qmp->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return 0;
	return peer.pid;
}

/* --- stop and continue ------------------------------------------------------------------------ */

/* Waits up to ten seconds for the answer to the watchdog's own command; all others mix with those
 * to what this process did not live to see. */
static bool hears_answer(int fd)
{
	char heard[8192];
	size_t used = 0;

	for (int i = 0; i < 50; i++) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&poll_fd, 1, 200) <= 0)
			continue;
		n = recv(fd, heard + used, sizeof(heard) - used, 0);
		if (n <= 0)
			return false;
		used += (size_t)n;
		if (memmem(heard, used, "\"watchdog\"", 10))
			return true;
		if (used > sizeof(heard) / 2) {
			memmove(heard, heard + used - 16, 16);
			used = 16;
		}
	}
	return false;
}

/* Asks QEMU to go on. 0xff has its parser begin anew, after a command that was cut short. */
static bool watchdog_continues(int fd, bool is_new)
{
	static const char greet[] = "{\"execute\":\"qmp_capabilities\"}\n";
	static const char text[] = "\xff{\"execute\":\"cont\",\"id\":\"watchdog\"}\n";

	if (is_new && send(fd, greet, sizeof(greet) - 1, MSG_NOSIGNAL) < 0)
		return false;
	return send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) > 0 && hears_answer(fd);
}

/* The child: waits for a byte, or for the end of the other process. Then the guest is to go on, by
 * this connection or by another. */
__attribute__((noreturn)) static void watch_parent(const struct qmp *qmp, int pipe_fd)
{
	int fd;
	bool went_on;
	char byte;
	ssize_t n;

	do {
		n = read(pipe_fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	went_on = watchdog_continues(qmp->fd, false);
	if (!went_on) {
		close(qmp->fd);
		fd = connect_socket(qmp->path);
		went_on = fd >= 0 && watchdog_continues(fd, true);
	}
	_exit(went_on ? 0 : 1);
}

/* Starts the child. Signals that end this process don't end it. */
static bool start_watchdog(struct qmp *qmp)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC)) {
		say_errno("pipe");
		return false;
	}
	qmp->watchdog = fork();
	if (qmp->watchdog == 0) {
		setsid();
		for (int signal_nr = 1; signal_nr < 32; signal_nr++)
			signal(signal_nr, SIG_IGN);
		close(ends[1]);
		watch_parent(qmp, ends[0]);
	}
	close(ends[0]);
	if (qmp->watchdog < 0) {
		say_errno("fork");
		close(ends[1]);
		qmp->watchdog = 0;
		return false;
	}
	qmp->watchdog_fd = ends[1];
	return true;
}

/* Does the guest go on? If not, the child sees to it, and tells whether it does. */
static bool end_watchdog(struct qmp *qmp, bool goes_on)
{
	int status = 1;

	if (goes_on && write(qmp->watchdog_fd, "", 1) != 1)
		say_errno("the watchdog");
	close(qmp->watchdog_fd);
	while (waitpid(qmp->watchdog, &status, 0) < 0 && errno == EINTR)
		;
	qmp->watchdog = 0;
	return goes_on || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* While the guest stands still, no key of a terminal suspends this process: it does when the guest
 * goes on. */
static void delay_suspension(bool delay)
{
	static const int signals[] = {SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(delay ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

int qmp_pause(struct qmp *qmp)
{
	json_t *answer = qmp_execute(qmp, "query-status", NULL);
	json_t *running = json_object_get(answer, "running");
	bool runs = json_is_true(running);

	if (answer && !json_is_boolean(running))
		say("QEMU at %s does not say whether the guest runs", qmp->path);
	if (!json_is_boolean(running)) {
		json_decref(answer);
		return -ENOTCONN;
	}
	json_decref(answer);
	if (!runs)
		return 0;
	if (!start_watchdog(qmp))
		return -EIO;
	qmp->paused = true;
	delay_suspension(true);
	answer = qmp_execute(qmp, "stop", NULL);
	json_decref(answer);
	if (!answer)
		qmp_resume(qmp);
	return answer ? 0 : -ENOTCONN;
}

bool qmp_resume(struct qmp *qmp)
{
	json_t *answer;
	bool goes_on;

	if (!qmp->paused)
		return true;
	qmp->paused = false;
	answer = qmp_execute(qmp, "cont", NULL);
	goes_on = end_watchdog(qmp, answer != NULL);
	json_decref(answer);
	delay_suspension(false);
	if (!goes_on)
		say("the guest may stand still: QEMU at %s has not said that it goes on",
		    qmp->path);
	return goes_on;
}

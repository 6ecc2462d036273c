/* SPDX-License-Identifier: MIT */
#include "control/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "control/request.h"
#include "listener.h"
#include "say.h"

struct client {
	int fd;        /* -1: free */
	bool skipping; /* in a line that is too long, whose rest is skipped */
	char *in;      /* CONTROL_MAX_LINE bytes */
	size_t nr_in;
	char *out; /* an answer being sent; the next request waits until it is NULL */
	size_t nr_out, sent;
};

struct control {
	struct listener listener;
	struct client clients[CONTROL_MAX_CLIENTS];
};

struct control *control_open(const char *path)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control) {
		say_errno("memory for the control socket");
		return NULL;
	}
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS; i++)
		control->clients[i].fd = -1;
	if (listener_open(&control->listener, FATAL_CONTROL, "--control", path) == 0)
		return control;
	control_close(control);
	return NULL;
}

/* --- clients ---------------------------------------------------------------------------------- */

static void hang_up(struct client *client)
{
	close(client->fd);
	free(client->in);
	free(client->out);
	*client = (struct client){.fd = -1};
}

static void send_more(struct client *client)
{
	ssize_t n = send(client->fd, client->out + client->sent, client->nr_out - client->sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			hang_up(client);
		return;
	}
	client->sent += (size_t)n;
	if (client->sent < client->nr_out)
		return;
	free(client->out);
	client->out = NULL;
}

/* Sends the answer, which it takes over; closes the connection when out of memory. */
static void send_answer(struct client *client, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	size_t len = text ? strlen(text) : 0;
	char *line = realloc(text, len + 1);

	json_decref(object);
	if (!text || !line) {
		free(line ? line : text);
		hang_up(client);
		return;
	}
	line[len] = '\n';
	client->out = line;
	client->nr_out = len + 1;
	client->sent = 0;
	send_more(client);
}

/* Serves complete lines, until an answer can't be sent at once. */
static void serve_lines(struct client *client, const struct control_target *target)
{
	char *end;

	while (client->fd >= 0 && !client->out && (end = memchr(client->in, '\n', client->nr_in))) {
		size_t len = (size_t)(end - client->in);
		json_t *object = client->skipping ? NULL : control_request(target, client->in, len);
		bool skipped = client->skipping;

		client->skipping = false;
		client->nr_in -= len + 1;
		memmove(client->in, end + 1, client->nr_in);
		if (!skipped)
			send_answer(client, object);
	}
	if (client->fd < 0 || client->nr_in < CONTROL_MAX_LINE || client->out)
		return;
	/* The buffer is full and has no newline. */
	client->nr_in = 0;
	if (client->skipping)
		return;
	client->skipping = true;
	send_answer(client, control_refusal("this line is longer than 64 KiB"));
}

static void receive_lines(struct client *client, const struct control_target *target)
{
	size_t room = CONTROL_MAX_LINE - client->nr_in;
	ssize_t n = recv(client->fd, client->in + client->nr_in, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(client);
		return;
	}
	client->nr_in += (size_t)n;
	serve_lines(client, target);
}

static const char *why_not_welcome(int fd, const struct client *slot)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid())
		return "this socket belongs to another user";
	return slot ? NULL : "there are four clients already";
}

static void accept_client(struct control *control)
{
	int fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client refused = {.fd = fd}, *slot = NULL;
	const char *why;

	if (fd < 0)
		return; /* gone already */
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS && !slot; i++)
		if (control->clients[i].fd < 0)
			slot = &control->clients[i];
	why = why_not_welcome(fd, slot);
	if (why) {
		send_answer(&refused, control_refusal(why));
		if (refused.fd >= 0)
			hang_up(&refused);
		return;
	}
	slot->fd = fd;
	slot->in = malloc(CONTROL_MAX_LINE);
	if (!slot->in)
		hang_up(slot);
}

/* --- from the main loop ----------------------------------------------------------------------- */

void control_poll(const struct control *control, struct pollfd fds[CONTROL_NR_FDS])
{
	fds[0] = (struct pollfd){.fd = control ? control->listener.fd : -1, .events = POLLIN};
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		const struct client *client = control ? &control->clients[i] : NULL;

		fds[1 + i] = (struct pollfd){.fd = client ? client->fd : -1,
					     .events = client && client->out ? POLLOUT : POLLIN};
	}
}

void control_serve(struct control *control, const struct control_target *target,
		   const struct pollfd fds[CONTROL_NR_FDS])
{
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		struct client *client = &control->clients[i];

		if (!fds[1 + i].revents)
			continue;
		if (!client->out) {
			receive_lines(client, target);
			continue;
		}
		send_more(client);
		if (client->fd >= 0 && !client->out)
			serve_lines(client, target);
	}
	if (fds[0].revents)
		accept_client(control);
}

void control_close(struct control *control)
{
	if (!control)
		return;
	for (unsigned i = 0; i < CONTROL_MAX_CLIENTS; i++)
		if (control->clients[i].fd >= 0)
			hang_up(&control->clients[i]);
	listener_close(&control->listener);
	free(control);
}

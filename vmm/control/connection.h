/* SPDX-License-Identifier: MIT */
/* The client's end of a control socket: requests go out, answers come in, each a line of JSON. */
#ifndef VMM_CONTROL_CONNECTION_H
#define VMM_CONTROL_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

struct connection {
	int fd;
	char *in; /* received, and not yet taken as an answer; at most CONNECTION_MAX_ANSWER bytes
		   */
	size_t nr_in, size;
};

#define CONNECTION_MAX_ANSWER (16u << 20)
/* After so long without an answer a person is told, by these words. Some take minutes. */
#define CONNECTION_TELL_MS 5000
#define CONNECTION_WAITS   "waiting for an answer"

/* Connects to the socket at `path`; for poll(), `fd` is its descriptor. Returns false after a
 * message. connection_close() in both cases. */
bool connection_open(struct connection *connection, const char *path);
void connection_close(struct connection *connection);
/* Sends a request; waits until the socket takes it. Returns false if the peer has gone. */
bool connection_send(struct connection *connection, const json_t *request);

enum connection_state {
	CONNECTION_WAITING,
	CONNECTION_ANSWERED,
	CONNECTION_ENDED,
	CONNECTION_WRONG,
};

/* Takes what has come, without waiting. CONNECTION_ANSWERED: *answer is a new reference to the
 * object that came. CONNECTION_ENDED: the peer has gone. CONNECTION_WRONG: what it sent is no
 * answer, or none that there is memory for. */
enum connection_state connection_receive(struct connection *connection, json_t **answer);

#endif

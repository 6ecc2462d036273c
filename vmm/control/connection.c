/* SPDX-License-Identifier: MIT */
#include "control/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "say.h"

bool connection_open(struct connection *connection, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*connection = (struct connection){.fd = fd};
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return true;
	say_errno("no vmm at %s", path);
	return false;
}

void connection_close(struct connection *connection)
{
	if (connection->fd >= 0)
		close(connection->fd);
	free(connection->in);
	*connection = (struct connection){.fd = -1};
}

static bool send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

bool connection_send(struct connection *connection, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	bool sent = text && send_all(connection->fd, text, strlen(text)) &&
		    send_all(connection->fd, "\n", 1);

	free(text);
	return sent;
}

/* Takes the first line, if a whole one is there. */
static enum connection_state take_line(struct connection *connection, json_t **answer)
{
	char *end = connection->nr_in ? memchr(connection->in, '\n', connection->nr_in) : NULL;
	size_t len;

	if (!end)
		return CONNECTION_WAITING;
	len = (size_t)(end - connection->in);
	*answer = json_loadb(connection->in, len, JSON_REJECT_DUPLICATES, NULL);
	connection->nr_in -= len + 1;
	memmove(connection->in, end + 1, connection->nr_in);
	if (json_is_object(*answer))
		return CONNECTION_ANSWERED;
	json_decref(*answer);
	return CONNECTION_WRONG;
}

static bool make_room(struct connection *connection)
{
	size_t size = connection->size ? 2 * connection->size : 4096;
	char *in;

	if (connection->nr_in < connection->size)
		return true;
	if (size > CONNECTION_MAX_ANSWER)
		return false;
	in = realloc(connection->in, size);
	if (!in)
		return false;
	connection->in = in;
	connection->size = size;
	return true;
}

enum connection_state connection_receive(struct connection *connection, json_t **answer)
{
	enum connection_state state;

	while ((state = take_line(connection, answer)) == CONNECTION_WAITING) {
		ssize_t n;

		if (!make_room(connection))
			return CONNECTION_WRONG;
		n = recv(connection->fd, connection->in + connection->nr_in,
			 connection->size - connection->nr_in, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return CONNECTION_WAITING;
		if (n <= 0)
			return CONNECTION_ENDED;
		connection->nr_in += (size_t)n;
	}
	return state;
}

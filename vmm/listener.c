/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "say.h"

#define BACKLOG 16

/* Is this a socket of this user at which no process listens, as a killed program leaves it? */
static bool is_left_behind(const struct sockaddr_un *addr, const struct stat *st)
{
	int fd, err;

	if (!S_ISSOCK(st->st_mode) || st->st_uid != geteuid())
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? errno : 0;
	close(fd);
	return err == ECONNREFUSED;
}

static bool make_room(const char *option, const struct sockaddr_un *addr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0) {
		if (errno == ENOENT)
			return true;
		say_errno("%s %s", option, addr->sun_path);
		return false;
	}
	if (!is_left_behind(addr, &st)) {
		say("%s %s: it exists already, and is %s", option, addr->sun_path,
		    S_ISSOCK(st.st_mode) ? "a socket in use" : "not a socket");
		return false;
	}
	if (unlink(addr->sun_path) == 0 || errno == ENOENT)
		return true;
	say_errno("removing %s", addr->sun_path);
	return false;
}

/* Binds the socket so that from the start only its owner may connect. */
static int bind_private(int fd, const struct sockaddr_un *addr)
{
	mode_t mask = umask(0177);
	int ret = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
	int err = errno;

	umask(mask);
	errno = err;
	return ret;
}

int listener_open(struct listener *listener, enum fatal_file which, const char *option,
		  const char *path)
{
	int err;

	*listener = (struct listener){.fd = -1, .which = which, .addr.sun_family = AF_UNIX};
	strncpy(listener->addr.sun_path, path, sizeof(listener->addr.sun_path) - 1);
	if (!make_room(option, &listener->addr))
		return -EADDRINUSE;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0 || bind_private(listener->fd, &listener->addr) < 0)
		return say_errno("%s %s", option, path);
	err = fatal_file_made(which, path);
	listener->made = !err;
	if (err)
		errno = -err;
	else if (listen(listener->fd, BACKLOG) == 0)
		return 0;
	return say_errno("%s %s", option, path);
}

void listener_close(struct listener *listener)
{
	if (listener->made)
		fatal_file_remove(listener->which);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
	listener->made = false;
}

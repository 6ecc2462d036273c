/* SPDX-License-Identifier: MIT */
#include "nonblocking.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe or terminal is shared with other processes, which expect it to block; so it is opened anew
 * for non-blocking writes. */
static int reopen_fd(int fd, const struct stat *st)
{
	char path[32];

	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return -1;
	if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void nonblocking_open(struct nonblocking *out, int fd)
{
	struct stat st;
	bool known = fstat(fd, &st) == 0;
	int own = known ? reopen_fd(fd, &st) : -1;

	*out = (struct nonblocking){
		.fd = own >= 0 ? own : fd,
		.is_own = own >= 0,
		.may_block = own < 0 && known && !S_ISREG(st.st_mode),
	};
}

void nonblocking_close(struct nonblocking *out)
{
	if (out->is_own)
		close(out->fd);
	*out = (struct nonblocking){.fd = -1};
}

ssize_t nonblocking_write(const struct nonblocking *out, const void *bytes, size_t nr)
{
	if (out->may_block) {
		struct pollfd fd = {.fd = out->fd, .events = POLLOUT};

		if (poll(&fd, 1, 0) == 0) {
			errno = EAGAIN;
			return -1;
		}
		/* There is room for so much. */
		nr = nr < PIPE_BUF ? nr : PIPE_BUF;
	}
	return write(out->fd, bytes, nr);
}

bool nonblocking_wait(const struct nonblocking *out, int stop_fd, int timeout)
{
	struct pollfd fds[] = {
		{.fd = out->fd, .events = POLLOUT},
		{.fd = stop_fd, .events = POLLIN},
	};

	while (poll(fds, 2, timeout) < 0)
		if (errno != EINTR)
			return false;
	return fds[0].revents != 0;
}

/* SPDX-License-Identifier: MIT */
/* Writing to standard output or error without waiting for whoever reads there. */
#ifndef VMM_NONBLOCKING_H
#define VMM_NONBLOCKING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct nonblocking {
	int fd;         /* what to write to, and to poll */
	bool is_own;    /* the same pipe or terminal opened anew, which never waits */
	bool may_block; /* it could not be: write after poll() alone */
};

/* Never fails: where a pipe or terminal can't be opened anew, poll() before each write has to do.
 * Opens a file, so before the sandbox. */
void nonblocking_open(struct nonblocking *out, int fd);
void nonblocking_close(struct nonblocking *out);

/* As write(), -1 with EAGAIN where it would wait. */
ssize_t nonblocking_write(const struct nonblocking *out, const void *bytes, size_t nr);
/* Waits up to `timeout` ms (-1: without end) until it takes something; false if it did not, or
 * `stop_fd` (-1: none) became readable first. */
bool nonblocking_wait(const struct nonblocking *out, int stop_fd, int timeout);

#endif

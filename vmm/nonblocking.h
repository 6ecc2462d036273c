/* SPDX-License-Identifier: MIT */
/* Writes to standard output and error without waiting for their reader. */
#ifndef VMM_NONBLOCKING_H
#define VMM_NONBLOCKING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct nonblocking {
	int fd;         /* the descriptor to write to and poll */
	bool is_own;    /* the pipe or terminal was opened anew, and never blocks */
	bool may_block; /* it could not be opened anew: write only after poll() */
};

/* Opens a descriptor for `fd`. Never fails: if a pipe or terminal can't be opened anew, poll()
 * comes before each write. Before the sandbox, since it opens a file. */
void nonblocking_open(struct nonblocking *out, int fd);
void nonblocking_close(struct nonblocking *out);

/* Like write(); -1 with EAGAIN if it would block. */
ssize_t nonblocking_write(const struct nonblocking *out, const void *bytes, size_t nr);
/* Waits up to `timeout` ms (-1: for ever) until the descriptor takes data. Returns false if it did
 * not, or if `stop_fd` (-1: none) became readable before. */
bool nonblocking_wait(const struct nonblocking *out, int stop_fd, int timeout);

#endif

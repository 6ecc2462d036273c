/* SPDX-License-Identifier: MIT */
/* A Unix stream socket in the file system that only its owner may connect to. */
#ifndef VMM_LISTENER_H
#define VMM_LISTENER_H

#include <stdbool.h>
#include <sys/un.h>
#include "fatal.h"

struct listener {
	int fd; /* -1: none */
	struct sockaddr_un addr;
	enum fatal_file which;
	bool made; /* the socket exists in the file system, and fatal.h knows it */
};

/* Listens at `path`, which must not exist, or be a socket that a dead program of this user left
 * behind. The length of the path is checked before (OPTIONS_MAX_SOCKET). Call it before other
 * threads exist, since it changes the umask for a moment, and with all fatal signals blocked.
 * Returns 0, or a negated errno after a message that begins with the option. Call listener_close()
 * in both cases. */
int listener_open(struct listener *listener, enum fatal_file which, const char *option,
		  const char *path);
/* Removes the socket, unless another file has taken its place. */
void listener_close(struct listener *listener);

#endif

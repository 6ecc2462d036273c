/* SPDX-License-Identifier: MIT */
/*
 * The control socket: a Unix stream socket that only this user can use. A client sends requests and
 * gets answers, each a JSON object on one line (request.h).
 *
 * All functions run on the main thread, and none waits for a client. As long as a client does not
 * read an answer, none of its requests is read.
 */
#ifndef VMM_CONTROL_CONTROL_H
#define VMM_CONTROL_CONTROL_H

#include <poll.h>

#define CONTROL_MAX_CLIENTS 4
#define CONTROL_MAX_LINE    65536 /* bytes of a request, with its newline */
#define CONTROL_NR_FDS      (1 + CONTROL_MAX_CLIENTS)

struct control;
struct control_target;

/* Creates the socket at `path`. A socket there that a dead program of this user left behind is
 * replaced; anything else there is an error. Call it before other threads start, since it changes
 * the umask for a moment. Returns NULL after a message. */
struct control *control_open(const char *path);
/* Fills `fds` for poll(). If `control` is NULL, with nothing to poll. */
void control_poll(const struct control *control, struct pollfd fds[CONTROL_NR_FDS]);
/* Serves what poll() found. */
void control_serve(struct control *control, const struct control_target *target,
		   const struct pollfd fds[CONTROL_NR_FDS]);
/* Closes all connections and removes the socket, unless another file has taken its place. `control`
 * may be NULL. */
void control_close(struct control *control);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The control socket: a Unix stream socket, private to the user. A client sends requests and gets
 * answers, each a JSON object on a line of its own (request.h).
 *
 * All of it is the main thread's, and nothing here waits for a client: one that does not read its
 * answer is not read from either.
 */
#ifndef VMM_CONTROL_CONTROL_H
#define VMM_CONTROL_CONTROL_H

#include <poll.h>

#define CONTROL_MAX_CLIENTS 4
#define CONTROL_MAX_LINE    65536 /* bytes of a request, its newline included */
#define CONTROL_NR_FDS      (1 + CONTROL_MAX_CLIENTS)

struct control;
struct control_target;

/* Makes the socket at `path`, where there may be nothing, or one that a program of this user left
 * behind. Before other threads are started, as it changes the umask for a moment. NULL after saying
 * why. */
struct control *control_open(const char *path);
/* What to poll for. NULL: nothing. */
void control_poll(const struct control *control, struct pollfd fds[CONTROL_NR_FDS]);
/* Serves what poll() then found. */
void control_serve(struct control *control, const struct control_target *target,
		   const struct pollfd fds[CONTROL_NR_FDS]);
/* Ends all connections and removes the socket, if it is still the one that was made. NULL is fine.
 */
void control_close(struct control *control);

#endif

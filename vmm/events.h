/* SPDX-License-Identifier: MIT */
/* The main thread's event loop while the guest runs: signals, time limit, console input, control
 * socket. */
#ifndef VMM_EVENTS_H
#define VMM_EVENTS_H

struct control;
struct gdb;
struct machine;
struct options;
struct pin;

struct events {
	int signal_fd;
	struct control *control; /* NULL: none */
	struct gdb *gdb;         /* NULL: none */
};

/* Blocks the signals that end the machine, and the kick signal, for this thread and all that it
 * starts, and opens the sockets that the options name. Call it before other threads exist. Returns
 * 0, or a negated errno after a message. events_close() after either. */
int events_open(struct events *events, const struct options *opt);
void events_close(struct events *events);
/* Unblocks them: from now on another of these signals ends the program at once. */
void events_unblock_signals(void);
/* Runs until the machine stops. `pin` may be NULL. Returns 0, or a negated errno after a message.
 */
int events_serve(const struct events *events, struct machine *machine, struct pin *pin);

#endif

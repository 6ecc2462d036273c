/* SPDX-License-Identifier: MIT */
/* The main thread's event loop while the guest runs: signals, time limit, console input, control
 * socket. */
#ifndef VMM_EVENTS_H
#define VMM_EVENTS_H

struct control;
struct machine;
struct pin;

/* Blocks the signals that end the machine, and the kick signal, for this thread and all that it
 * starts. Returns a signalfd, or a negated errno after a message. */
int events_block_signals(void);
/* Unblocks them: from now on another of these signals ends the program at once. */
void events_unblock_signals(void);
/* Runs until the machine stops. `control` may be NULL. Returns 0, or a negated errno after a
 * message. */
int events_serve(struct machine *machine, struct pin *pin, struct control *control, int signal_fd);

#endif

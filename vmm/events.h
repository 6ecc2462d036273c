/* SPDX-License-Identifier: MIT */
/* What the main thread does while the guest runs: signals, time limit, input, the control
 * socket, the end. */
#ifndef VMM_EVENTS_H
#define VMM_EVENTS_H

struct control;
struct machine;
struct pin;

/* Blocks the signals that end a machine in order, and the kick signal, for this thread and all it
 * will start. Returns a signalfd, or a negated errno after saying why. */
int events_block_signals(void);
/* From here on a second signal ends the program at once. */
void events_unblock_signals(void);
/* Serves until the machine stops; `control` is NULL where there is none. Returns 0, or a negated
 * errno after saying why. */
int events_serve(struct machine *machine, struct pin *pin, struct control *control, int signal_fd);

#endif

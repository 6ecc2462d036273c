/* SPDX-License-Identifier: MIT */
/* The end of the machine: its status, and a descriptor that wakes the threads that wait for it. */
#ifndef VMM_STOP_H
#define VMM_STOP_H

#include <stdatomic.h>
#include <stdbool.h>

struct stop {
	/* -1 while the machine runs. The first status written (compare and swap from -1) stays;
	 * then `fd` becomes readable. */
	atomic_int status;
	int fd; /* eventfd; polled and never read */
	/* Set with the status, so that a long sync doesn't keep its vCPU from ending. Read and
	 * written atomically. */
	bool leave_off;
};

/* Returns 0, or a negated errno after a message. Call stop_free() in both cases. */
int stop_init(struct stop *stop);
void stop_free(struct stop *stop);

/* Ends the machine with this status, unless it has one already. Any thread. */
void stop_request(struct stop *stop, int status);
/* For a failed system call without which the guest can't go on: prints "WHAT: strerror(errno)" and
 * ends the machine with VMM_EX_OSERR. */
void stop_on_error(struct stop *stop, const char *what);
/* Is the machine ending? Any thread. */
bool stop_requested(const struct stop *stop);
/* The vCPUs have ended: from now on syncs are done to their end. Main thread. */
void stop_is_over(struct stop *stop);

#endif

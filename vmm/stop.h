/* SPDX-License-Identifier: MIT */
/* How the machine ends: one status, and a descriptor that wakes whoever waits for it. */
#ifndef VMM_STOP_H
#define VMM_STOP_H

#include <stdatomic.h>
#include <stdbool.h>

struct stop {
	/* -1 while the machine runs. The first to write a status >= 0 wins (compare and swap), then
	 * makes `fd` readable. */
	atomic_int status;
	int fd; /* eventfd, never read */
};

/* Returns 0, or a negated errno after saying why. stop_free() after either. */
int stop_init(struct stop *stop);
void stop_free(struct stop *stop);

/* Ends the machine with this status, from any thread; the first call counts. */
void stop_request(struct stop *stop, int status);
/* A system call failed that the guest can't do without: says "WHAT: strerror(errno)" and ends the
 * machine with VMM_EX_OSERR. */
void stop_on_error(struct stop *stop, const char *what);
/* Has anybody asked for it? */
bool stop_requested(const struct stop *stop);

#endif

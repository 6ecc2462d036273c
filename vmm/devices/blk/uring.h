/* SPDX-License-Identifier: MIT */
/* The I/O back end of blk_core for io_uring. The ring also waits for the guest's kick, so that one
 * system call submits all I/O and waits for whatever comes first. For one thread at a time. */
#ifndef VMM_DEVICES_BLK_URING_H
#define VMM_DEVICES_BLK_URING_H

#include <stdbool.h>
#include <stdint.h>
#include <liburing.h>
#include "devices/blk/core.h"

struct blk_uring {
	struct io_uring ring;
	int image_fd;
	int kick_fd;         /* eventfd, blocking */
	uint64_t kick_value; /* buffer of the pending read of kick_fd */
	bool kick_armed;     /* that read is pending */
};

/* Sets up the ring. It is restricted to reading, writing and flushing these two descriptors, no
 * matter who uses it. Returns 0, or a negated errno after a message. */
int blk_uring_init(struct blk_uring *uring, int image_fd, int kick_fd);
/* Frees it. Nothing may be in flight. */
void blk_uring_free(struct blk_uring *uring);

/* The start function of struct blk_io; ctx is the struct blk_uring. */
int blk_uring_start(void *ctx, struct blk_op *op);

/* Submits all started ops. With `block` waits until an op has ended or kick_fd was written. Passes
 * the results to blk_core_done(), and sets *kicked if there was a kick (else leaves it unchanged).
 * Returns 0, or a negated errno if the ring has failed; what is in flight then never ends. */
int blk_uring_run(struct blk_uring *uring, bool block, struct blk_core *core, bool *kicked);

#endif

/* SPDX-License-Identifier: MIT */
/* The real back end of blk_core: io_uring, which also waits for the guest's kick, so that one
 * system call submits all that is to be done and waits for whatever comes first. One thread at a
 * time. */
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
	uint64_t kick_value; /* what the pending read of kick_fd is given */
	bool kick_armed;     /* that read is under way */
};

/* The ring reads, writes and flushes what is open, and can do nothing else, whoever gets at it.
 * Returns 0, or a negated errno after saying why. */
int blk_uring_init(struct blk_uring *uring, int image_fd, int kick_fd);
/* Nothing may be in flight. */
void blk_uring_free(struct blk_uring *uring);

/* start of struct blk_io; ctx is the struct blk_uring. */
int blk_uring_start(void *ctx, struct blk_op *op);

/* Submits all that was started, with `block` waits until something has ended or kick_fd was written
 * to, and gives what has ended to blk_core_done(). Sets *kicked if there was a kick; leaves it as
 * it is otherwise. Returns 0, or a negated errno when the ring has failed: what is in flight then
 * never ends. */
int blk_uring_run(struct blk_uring *uring, bool block, struct blk_core *core, bool *kicked);

#endif

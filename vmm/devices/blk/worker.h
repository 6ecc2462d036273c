/* SPDX-License-Identifier: MIT */
/* The thread that serves a block device: blk_core fed by io_uring. Still no KVM: a kick is an
 * eventfd, and what the transport must know is told through struct blk_worker_ops. */
#ifndef VMM_DEVICES_BLK_WORKER_H
#define VMM_DEVICES_BLK_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include "devices/blk/core.h"
#include "devices/blk/image.h"
#include "devices/blk/uring.h"

struct sandbox;

/* Called by the worker's thread. */
struct blk_worker_ops {
	void (*used)(void *ctx); /* answers were published and the driver wants an interrupt */
	/* The queue is broken and no longer served; what was taken before is still answered. */
	void (*broken)(void *ctx, const char *why);
	/* io_uring has failed: nothing is served any more, and requests may stay unanswered. */
	void (*failed)(void *ctx, int error);
};

enum blk_worker_state {
	BLK_WORKER_IDLE,
	BLK_WORKER_RUN,
	BLK_WORKER_EXIT,
};

struct blk_worker {
	const struct blk_worker_ops *ops;
	void *ctx;
	int kick_fd; /* eventfd; any write makes the worker look at its queue */
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum blk_worker_state want; /* under the lock: what it was told to do */
	enum blk_worker_state is;   /* under the lock: what it does */

	/* The thread's while `is` is BLK_WORKER_RUN, the caller's of blk_worker_start() otherwise.
	 */
	struct blk_core core;
	/* The thread's alone. */
	struct blk_uring uring;
	bool serving; /* copy of `is == BLK_WORKER_RUN`: the core is the thread's */
	bool taking;  /* and it was not told otherwise: requests are taken off the queue */
	bool told_broken;
};

/* Starts the thread, idle and in the sandbox (NULL: none). `image` outlives the worker. Returns 0,
 * or a negated errno after saying why. */
int blk_worker_create(struct blk_worker *worker, const struct sandbox *sandbox,
		      const struct blk_image *image, const struct blk_disk *disk,
		      const struct blk_worker_ops *ops, void *ctx);

/* Serves a queue, from idle. Returns 0, or -EINVAL if it is no queue: worker->core.vq.fault says
 * why. */
int blk_worker_start(struct blk_worker *worker, const struct memory *mem,
		     const struct virtqueue_layout *layout, uint64_t features);

/* Takes no more requests, waits until those in flight have been answered. Not from within ops. */
void blk_worker_stop(struct blk_worker *worker);

void blk_worker_kick(struct blk_worker *worker);

/* Stops, then ends the thread. */
void blk_worker_destroy(struct blk_worker *worker);

#endif

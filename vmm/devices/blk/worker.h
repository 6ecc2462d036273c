/* SPDX-License-Identifier: MIT */
/* The thread that serves a block device: blk_core with io_uring as its back end. No KVM in here: a
 * kick is an eventfd, and the transport is told by struct blk_worker_ops. */
#ifndef VMM_DEVICES_BLK_WORKER_H
#define VMM_DEVICES_BLK_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include "devices/blk/core.h"
#include "devices/blk/image.h"
#include "devices/blk/uring.h"

struct sandbox;

/* Called on the worker's thread. */
struct blk_worker_ops {
	void (*used)(void *ctx); /* answers were published and the driver wants an interrupt */
	/* The queue broke a rule and is no longer served; requests in flight are still answered. */
	void (*broken)(void *ctx, const char *why);
	/* io_uring has failed: nothing is served any more, and requests may remain unanswered. */
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
	int kick_fd; /* eventfd; a write makes the worker look at its queue */
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum blk_worker_state want; /* what it was told to do; by the lock */
	enum blk_worker_state is;   /* what it does; by the lock */

	/* Used by the thread while `is` is BLK_WORKER_RUN, otherwise by the caller of
	 * blk_worker_start(). */
	struct blk_core core;
	/* Used by the thread alone. */
	struct blk_uring uring;
	bool serving; /* copy of `is == BLK_WORKER_RUN` */
	bool taking;  /* serving, and not told to stop: requests are taken off the queue */
	bool told_broken;
};

/* Starts the thread: idle, and in the sandbox (unless that is NULL). `image` must outlive the
 * worker. Returns 0, or a negated errno after a message. */
int blk_worker_create(struct blk_worker *worker, const struct sandbox *sandbox,
		      const struct blk_image *image, const struct blk_disk *disk,
		      const struct blk_worker_ops *ops, void *ctx);

/* Begins to serve a queue; the worker is idle. Returns 0, or -EINVAL if the layout is wrong:
 * worker->core.vq.fault says why. */
int blk_worker_start(struct blk_worker *worker, const struct memory *mem,
		     const struct virtqueue_layout *layout, uint64_t features);

/* Stops taking requests, leaves off those taken (blk_core_stop()), and waits until all of these are
 * answered. Not from within ops. */
void blk_worker_stop(struct blk_worker *worker);

void blk_worker_kick(struct blk_worker *worker);

/* Stops, and ends the thread. */
void blk_worker_destroy(struct blk_worker *worker);

#endif

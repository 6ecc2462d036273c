/* SPDX-License-Identifier: MIT */
/*
 * The core of the block device: takes requests off the queue, keeps them in flight, answers them.
 * No KVM, threads or system calls in here; I/O goes through struct blk_io.
 *
 * What the guest may rely on:
 * - S_OK for a read or write means that all of its bytes were transferred; short transfers are
 *   continued. Otherwise the answer is S_IOERR, and any part may have been transferred.
 * - A flush covers every request that was answered before the flush was made available, since the
 *   device starts it after it has seen it. Only one flush runs at a time, and those that arrive
 *   meanwhile share the next one: the kernel reports a failed write-back to one fsync() only, so
 *   with two at a time one would not learn of it.
 * - After a failed flush all later ones fail until the driver resets the device: data of writes
 *   that were answered S_OK may be lost, and the kernel does not report that again.
 * - A request that is not answered when the driver resets the disk may be done in part. So a stop
 *   need not wait for all that a guest can ask for: 256 requests of 4 GiB.
 * - Without VIRTIO_BLK_F_FLUSH the disk is write-through: writes are durable when answered.
 */
#ifndef VMM_DEVICES_BLK_CORE_H
#define VMM_DEVICES_BLK_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "devices/blk/request.h"
#include "devices/virtqueue.h"

/* The I/O back end: io_uring, or a test's own. */
struct blk_io {
	/* Starts the op, no later than when the caller next waits. Later, and never from within
	 * start(), the back end calls blk_core_done(). Returns 0, or a negated errno if the op
	 * can't be started. */
	int (*start)(void *ctx, struct blk_op *op);
	void *ctx;
};

/* Written by the device's thread; other threads may read them at any time (relaxed). */
struct blk_stats {
	atomic_ullong requests;
	atomic_ullong reads, writes, flushes; /* answered S_OK */
	atomic_ullong bytes_read, bytes_written;
	atomic_ullong io_errors;   /* answered S_IOERR */
	atomic_ullong unsupported; /* answered S_UNSUPP */
	atomic_ullong continued;   /* short transfers that were continued */
	atomic_ullong batches;    /* times that requests were taken off the queue, one or several */
	atomic_ullong syncs;      /* fdatasync()s made for flushes */
	atomic_ullong interrupts; /* interrupts that publishing asked for */
	atomic_ullong broken;     /* times that the queue broke a rule */
	atomic_ullong max_in_flight; /* the most requests in flight */
};

/* The most bytes that ops under way read or write together: what a stop has to wait for. It is
 * several times what any disk does at a time. */
#define BLK_CORE_MOVING (16ull << 20)

/* One for each request that can be in flight, and one for the request being taken off the queue. */
#define BLK_CORE_REQUESTS (VIRTQUEUE_MAX_SIZE + 1)

/* Owned by one thread at a time. */
struct blk_core {
	struct blk_disk disk;
	struct blk_io io;
	struct blk_stats stats;

	struct virtqueue vq;
	bool broken;  /* no more requests are taken; vq.fault says why */
	bool stopped; /* nothing is started any more */
	bool durable; /* writes are durable when answered */

	struct blk_request *requests;     /* BLK_CORE_REQUESTS elements */
	uint16_t free[BLK_CORE_REQUESTS]; /* stack of indices, so that few are touched */
	unsigned nr_free;
	unsigned in_flight; /* requests taken off the queue and not answered */
	uint64_t moving;    /* bytes of the ops of reads and writes that were started */
	struct blk_request_list
		ready; /* reads and writes until `moving` leaves room for their op */

	struct blk_op sync_op;
	uint64_t sync_started; /* for the trace */
	/* Flushes that sync_op answers; it runs if there are any. */
	struct blk_request_list syncing;
	struct blk_request_list waiting; /* flushes that will share the next sync_op */
	bool flush_failed;
	bool told; /* the first I/O error was reported on stderr; later ones are only counted */
};

/* Returns 0 or -ENOMEM. */
int blk_core_init(struct blk_core *core, const struct blk_disk *disk, const struct blk_io *io);
/* Frees it. Nothing may be in flight. */
void blk_core_free(struct blk_core *core);

/* Begins to serve a driver's queue. Nothing is in flight. Returns 0, or -EINVAL if the layout is
 * wrong: core->vq.fault says why. */
int blk_core_start(struct blk_core *core, const struct memory *mem,
		   const struct virtqueue_layout *layout, uint64_t features);

/* Takes available requests, at most as many as the queue has entries. Returns true if there may be
 * more: call it again without waiting for a notification. May set core->broken. */
bool blk_core_take(struct blk_core *core);

/* To be left off: what has not been started is answered S_IOERR now, and so are, once their op
 * ends, those that it does not complete. No blk_core_take() before the next blk_core_start(). May
 * be repeated. */
void blk_core_stop(struct blk_core *core);

/* An op has ended. `result` is the number of bytes transferred, 0 for a successful flush, or a
 * negated errno. */
void blk_core_done(struct blk_core *core, struct blk_op *op, int64_t result);

/* Makes the answers so far visible to the driver. Returns true if it wants an interrupt. */
bool blk_core_publish(struct blk_core *core);

#endif

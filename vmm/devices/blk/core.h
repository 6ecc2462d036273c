/* SPDX-License-Identifier: MIT */
/*
 * The heart of the block device: takes requests off the queue, keeps them in flight, answers them.
 * No KVM, no threads and no system calls in here; I/O goes through struct blk_io.
 *
 * What the guest may rely on:
 * - S_OK for a read or write means that every byte of it was done; short transfers are continued.
 *   Anything else is S_IOERR, whatever part was done by then.
 * - A flush covers every request that was answered before it was made available, as it is started
 *   after it is seen. Flushes run one at a time, those that come meanwhile share the next one: the
 *   kernel reports a failed write-back to one fsync only, and so no two can be under way of which
 *   only one hears of it.
 * - After a failed flush no later one succeeds before the driver resets the device: data that was
 *   answered S_OK may be gone, and the kernel will not say so again.
 * - A driver that did not negotiate VIRTIO_BLK_F_FLUSH has a write-through disk: its writes are
 *   durable when answered.
 */
#ifndef VMM_DEVICES_BLK_CORE_H
#define VMM_DEVICES_BLK_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "devices/blk/request.h"
#include "devices/virtqueue.h"

/* The seam to whatever does the I/O: io_uring, or a test. */
struct blk_io {
	/* Takes the op in, to be started no later than the caller next waits; later
	 * blk_core_done(), never from within, says how it went. Returns a negated errno if it can't
	 * be taken. */
	int (*start)(void *ctx, struct blk_op *op);
	void *ctx;
};

/* Written by the device's thread alone; relaxed, any thread may have a look. */
struct blk_stats {
	atomic_ullong requests;
	atomic_ullong reads, writes, flushes; /* answered S_OK */
	atomic_ullong bytes_read, bytes_written;
	atomic_ullong io_errors;     /* answered S_IOERR */
	atomic_ullong unsupported;   /* answered S_UNSUPP */
	atomic_ullong continued;     /* short transfers that were gone on with */
	atomic_ullong batches;       /* times that one or more requests were taken off the queue */
	atomic_ullong syncs;         /* fdatasync made for flushes */
	atomic_ullong interrupts;    /* asked for by publishing */
	atomic_ullong broken;        /* times that the queue was found broken */
	atomic_ullong max_in_flight; /* requests */
};

/* All that can be in flight, and the one that is being taken off the queue. */
#define BLK_CORE_REQUESTS (VIRTQUEUE_MAX_SIZE + 1)

/* Owned by one thread at a time. */
struct blk_core {
	struct blk_disk disk;
	struct blk_io io;
	struct blk_stats stats;

	struct virtqueue vq;
	bool broken;  /* vq.fault says why; no more requests are taken */
	bool durable; /* writes go through to stable storage */

	struct blk_request *requests;     /* BLK_CORE_REQUESTS of them, only touched when needed */
	uint16_t free[BLK_CORE_REQUESTS]; /* a stack of indices, so that few are ever touched */
	unsigned nr_free;
	unsigned in_flight; /* taken off the queue and not answered */

	struct blk_op sync_op;
	struct blk_request_list
		syncing; /* flushes that sync_op answers; it runs if there are any */
	struct blk_request_list waiting; /* flushes that share the next one */
	bool flush_failed;
	bool told; /* the first I/O error was said on stderr; the others are counted */
};

/* Returns 0 or -ENOMEM. */
int blk_core_init(struct blk_core *core, const struct blk_disk *disk, const struct blk_io *io);
/* Nothing may be in flight. */
void blk_core_free(struct blk_core *core);

/* A driver is ready. Nothing is in flight. Returns 0, or -EINVAL if its queue is no queue:
 * core->vq.fault says why. */
int blk_core_start(struct blk_core *core, const struct memory *mem,
		   const struct virtqueue_layout *layout, uint64_t features);

/* Takes what is available, at most as many as the queue has entries. Returns true if there may be
 * more: come back without waiting for a notification. May set core->broken. */
bool blk_core_take(struct blk_core *core);

/* An op has ended: `result` is the number of bytes done, or a negated errno; 0 for a flush that
 * went well. */
void blk_core_done(struct blk_core *core, struct blk_op *op, int64_t result);

/* Shows the driver the answers so far. Returns true if it wants an interrupt for them. */
bool blk_core_publish(struct blk_core *core);

#endif

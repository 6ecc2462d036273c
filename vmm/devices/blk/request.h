/* SPDX-License-Identifier: MIT */
/* A block request (virtio 1.2, 5.2.6): decoded from a chain of buffers. */
#ifndef VMM_DEVICES_BLK_REQUEST_H
#define VMM_DEVICES_BLK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <linux/virtio_blk.h>
#include "devices/virtqueue.h"

/* What requests are checked against. */
struct blk_disk {
	const char *name; /* for messages */
	uint64_t sectors;
	bool readonly;
	char id[VIRTIO_BLK_ID_BYTES]; /* padded with 0 */
	struct trace_track *track;    /* written by the device's thread; NULL: no trace */
};

enum blk_op_kind { BLK_READ, BLK_WRITE, BLK_FLUSH };

/* The most bytes of one operation: a longer request is done in parts, so that it can be left off.
 */
#define BLK_OP_BYTES (1u << 20)

/* One I/O operation, as the back end gets it. It stays valid until its completion. */
struct blk_op {
	enum blk_op_kind kind;
	bool durable;      /* BLK_WRITE: complete only when the data is on stable storage */
	struct iovec *iov; /* BLK_READ, BLK_WRITE */
	unsigned nr_iov;
	uint64_t offset; /* bytes */
};

enum blk_action {
	BLK_DO_IO,     /* start `op` */
	BLK_DO_FLUSH,  /* flush what was completed before */
	BLK_DO_ANSWER, /* no I/O: answer with `answer` */
};

struct blk_request {
	struct virtqueue_chain chain;
	struct blk_op op;    /* for BLK_DO_IO: the next part of it, or all */
	unsigned nr_rest;    /* buffers from op.iov on, of this part and all later ones */
	uint32_t part;       /* bytes of `op`, at most BLK_OP_BYTES */
	size_t cut;          /* bytes of op's last buffer that are of a later part */
	uint8_t *status;     /* where the status byte goes, in guest memory */
	uint8_t answer;      /* for BLK_DO_ANSWER: VIRTIO_BLK_S_* */
	uint64_t left;       /* bytes that remain, with this part */
	uint64_t started;    /* for the trace */
	uint32_t in_bytes;   /* size of the `in` buffers, without the status byte */
	uint32_t in_written; /* how many of these bytes are written, from the first on */
	STAILQ_ENTRY(blk_request) link; /* in a list of those that wait */
};

STAILQ_HEAD(blk_request_list, blk_request);

/* Decodes and checks request->chain, which lies in `mem`. Sector ranges are checked against the
 * disk here and nowhere else. Returns an enum blk_action, or -EINVAL if the chain has no complete
 * header or no status byte, so that it can't be answered. */
int blk_request_decode(struct blk_request *request, const struct blk_disk *disk,
		       const struct memory *mem);

/* `bytes` (at most request->part) of the op are transferred; the op becomes the next part. */
void blk_request_advance(struct blk_request *request, uint32_t bytes);

#endif

/* SPDX-License-Identifier: MIT */
/* A request of the guest (virtio 1.2, 5.2.6): from a chain of buffers to what is to be done. */
#ifndef VMM_DEVICES_BLK_REQUEST_H
#define VMM_DEVICES_BLK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <linux/virtio_blk.h>
#include "devices/virtqueue.h"

/* What requests are judged by. */
struct blk_disk {
	const char *name; /* for messages */
	uint64_t sectors;
	bool readonly;
	char id[VIRTIO_BLK_ID_BYTES]; /* padded with 0 */
};

enum blk_op_kind { BLK_READ, BLK_WRITE, BLK_FLUSH };

/* One piece of I/O as the back end gets it. It stays valid until its completion. */
struct blk_op {
	enum blk_op_kind kind;
	bool durable;      /* BLK_WRITE: done only when on stable storage */
	struct iovec *iov; /* BLK_READ, BLK_WRITE */
	unsigned nr_iov;
	uint64_t offset; /* bytes */
};

enum blk_action {
	BLK_DO_IO,     /* start `op` */
	BLK_DO_FLUSH,  /* make durable what was completed before */
	BLK_DO_ANSWER, /* nothing: answer with `answer` */
};

struct blk_request {
	struct virtqueue_chain chain;
	struct blk_op op;    /* BLK_DO_IO; its iov lies in `chain` and shrinks as bytes are done */
	uint8_t *status;     /* guest memory: where the answer goes */
	uint8_t answer;      /* VIRTIO_BLK_S_*, with BLK_DO_ANSWER */
	uint64_t left;       /* bytes of op still to be done */
	uint32_t in_bytes;   /* size of the buffers that the device writes, without `status` */
	uint32_t in_written; /* how many of them it has written, from the first on */
	STAILQ_ENTRY(blk_request) link; /* of flushes */
};

STAILQ_HEAD(blk_request_list, blk_request);

/* Decodes request->chain. Returns an enum blk_action, or -EINVAL if the chain has no complete
 * header or no byte for the status, so that it cannot even be answered. Sector ranges are checked
 * against the disk here and nowhere else. The chain lies in `mem`. */
int blk_request_decode(struct blk_request *request, const struct blk_disk *disk,
		       const struct memory *mem);

/* `bytes` (at most request->left) of the op are done: what remains is the rest. */
void blk_request_advance(struct blk_request *request, uint32_t bytes);

#endif

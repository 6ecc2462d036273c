/* SPDX-License-Identifier: MIT */
/*
 * The device's side of a split virtqueue (virtio 1.2, 2.7). All of guest memory is hostile: each
 * field is read once into a copy, and the copy is checked. A ring that breaks a rule is not used
 * again, and `fault` says which rule.
 *
 * A virtqueue has no lock; only one thread at a time uses it.
 */
#ifndef VMM_DEVICES_VIRTQUEUE_H
#define VMM_DEVICES_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <linux/virtio_ring.h>
#include "kvm/memory.h"

#define VIRTQUEUE_MAX_SIZE 256
/* Maximum number of buffers in a chain. It also ends a chain that loops. */
#define VIRTQUEUE_MAX_SEGS 64

/* The driver's description of its queue. Addresses are gpas. */
struct virtqueue_layout {
	uint32_t num; /* descriptors: a power of 2 up to VIRTQUEUE_MAX_SIZE */
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
};

struct virtqueue {
	const struct memory *mem;
	uint16_t num;
	bool indirect; /* VIRTIO_RING_F_INDIRECT_DESC was negotiated */
	uint16_t next_avail;
	uint16_t next_used; /* number of pushed elements, published or not */
	uint16_t published; /* value of next_used that the driver was told last */
	/* Pointers into guest memory, checked once: memory slots don't move while a queue is in
	 * use. */
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	bool busy[VIRTQUEUE_MAX_SIZE]; /* heads that were popped and not yet pushed */
	char fault[96];                /* the rule that was broken; "" if none */
};

/* One chain: `out` buffers, which the device reads, and then `in` buffers, which it writes. Each
 * buffer lies in guest memory and is not empty. */
struct virtqueue_chain {
	uint16_t head;
	uint16_t nr_out;
	uint16_t nr_in;
	struct iovec iov[VIRTQUEUE_MAX_SEGS];
};

/* Copies from guest memory. Device code reads guest memory by this alone: the asm statement makes
 * the copy opaque to the compiler, which so cannot replace a use of the copy by a second read of
 * guest memory. */
static inline void virtqueue_read(void *copy, const void *guest, size_t len)
{
	memcpy(copy, guest, len);
	__asm__ volatile("" : : "r"(copy) : "memory");
}

/* Checks size, alignment and addresses of the rings. Returns 0, or -EINVAL with vq->fault set. */
int virtqueue_init(struct virtqueue *vq, const struct memory *mem,
		   const struct virtqueue_layout *layout, bool indirect);

/* Takes the next available chain. Returns 1, 0 if there is none, or -EINVAL with vq->fault set;
 * after that the queue must not be popped again. */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

/* Returns a popped chain to the driver, with `len` bytes written from the start of its `in`
 * buffers. The driver sees it after virtqueue_publish(). */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t len);

/* Makes all pushed chains visible to the driver (used.idx, release). Returns true if there were any
 * and the driver wants an interrupt. */
bool virtqueue_publish(struct virtqueue *vq);

#endif

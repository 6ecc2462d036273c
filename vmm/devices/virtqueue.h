/* SPDX-License-Identifier: MIT */
/*
 * The device's side of a split virtqueue (virtio 1.2, 2.7). Everything in guest memory is hostile:
 * each field is read once into a copy and the copy is judged; a ring that breaks a rule is never
 * looked at again, and `fault` says which rule it was.
 *
 * A virtqueue has no lock: one thread at a time uses it.
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
/* Buffers that one chain may have; also the bound that ends a chain that loops. */
#define VIRTQUEUE_MAX_SEGS 64

/* What the driver said of its queue. Addresses are gpa. */
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
	uint16_t next_used; /* counts pushed elements, published or not */
	uint16_t published; /* what the driver was last told of next_used */
	/* Guest memory, checked once: memory slots never move while a queue lives. */
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	bool busy[VIRTQUEUE_MAX_SIZE]; /* heads popped and not yet pushed */
	char fault[96];                /* the rule that was broken; "" while the queue is sound */
};

/* One request as the driver laid it out: `out` buffers that the device reads, then `in` buffers
 * that it writes. Each lies wholly inside guest memory and is not empty. */
struct virtqueue_chain {
	uint16_t head;
	uint16_t nr_out;
	uint16_t nr_in;
	struct iovec iov[VIRTQUEUE_MAX_SEGS];
};

/* The one way to look at guest memory: a copy. Once its address has gone into the asm statement the
 * compiler must take the copy for something it does not know, so that it cannot read guest memory a
 * second time. */
static inline void virtqueue_read(void *copy, const void *guest, size_t len)
{
	memcpy(copy, guest, len);
	__asm__ volatile("" : : "r"(copy) : "memory");
}

/* Checks size, alignment and place of the rings. Returns 0, or -EINVAL with vq->fault filled. */
int virtqueue_init(struct virtqueue *vq, const struct memory *mem,
		   const struct virtqueue_layout *layout, bool indirect);

/* Takes the next available chain. Returns 1, 0 if there is none, or -EINVAL with vq->fault filled:
 * then the queue must not be popped again. */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

/* Gives a popped chain back with `len`, the number of bytes written from the start of its `in`
 * buffers. The driver does not see it before virtqueue_publish(). */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t len);

/* Shows the driver all that was pushed (used.idx, release). Returns true if there was anything and
 * the driver wants an interrupt for it. */
bool virtqueue_publish(struct virtqueue *vq);

#endif

/* SPDX-License-Identifier: MIT */
#include "devices/virtqueue.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include "kvm/write_protect.h"

/* The state of a walk over one chain: the present table, and the buffers found so far. */
struct walk {
	const struct vring_desc *table;
	uint32_t table_len;
	bool in_indirect;
	unsigned limit; /* most buffers the chain may have */
	uint64_t bytes;
};

__attribute__((format(printf, 2, 3))) static int broken(struct virtqueue *vq, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(vq->fault, sizeof(vq->fault), fmt, args);
	va_end(args);
	return -EINVAL;
}

/* Rings are accessed by atomic operations of their fields' size, so they must be aligned. */
static void *ring_part(const struct memory *mem, uint64_t gpa, uint64_t len, unsigned align)
{
	if (gpa % align)
		return NULL;
	return memory_ptr(mem, gpa, len);
}

int virtqueue_init(struct virtqueue *vq, const struct memory *mem,
		   const struct virtqueue_layout *layout, bool indirect)
{
	uint32_t num = layout->num;

	*vq = (struct virtqueue){.mem = mem, .indirect = indirect};
	if (num == 0 || num > VIRTQUEUE_MAX_SIZE || (num & (num - 1)))
		return broken(vq, "its size is %u, not a power of 2 up to %u", num,
			      VIRTQUEUE_MAX_SIZE);
	vq->num = (uint16_t)num;
	/* The event fields after avail and used belong to the rings, with or without EVENT_IDX. */
	vq->desc = ring_part(mem, layout->desc, num * sizeof(struct vring_desc), 16);
	if (!vq->desc)
		return broken(vq,
			      "its descriptor table at %#llx is outside of memory or misaligned",
			      (unsigned long long)layout->desc);
	vq->avail = ring_part(mem, layout->avail, 6 + num * sizeof(uint16_t), 2);
	if (!vq->avail)
		return broken(vq, "its available ring at %#llx is outside of memory or misaligned",
			      (unsigned long long)layout->avail);
	vq->used = ring_part(mem, layout->used, 6 + num * sizeof(struct vring_used_elem), 4);
	if (!vq->used)
		return broken(vq, "its used ring at %#llx is outside of memory or misaligned",
			      (unsigned long long)layout->used);
	return 0;
}

static int add_buffer(struct virtqueue *vq, struct walk *walk, struct virtqueue_chain *chain,
		      const struct vring_desc *desc)
{
	unsigned nr = chain->nr_out + chain->nr_in;
	bool in = desc->flags & VRING_DESC_F_WRITE;
	void *ptr;

	if (nr == walk->limit)
		return broken(vq, "the chain of descriptor %u has more than %u buffers, or loops",
			      chain->head, walk->limit);
	if (desc->len == 0)
		return broken(vq, "the chain of descriptor %u has an empty buffer", chain->head);
	ptr = memory_ptr(vq->mem, desc->addr, desc->len);
	if (!ptr)
		return broken(vq, "the chain of descriptor %u has a buffer outside of memory",
			      chain->head);
	walk->bytes += desc->len;
	if (walk->bytes > UINT32_MAX)
		return broken(vq, "the chain of descriptor %u is longer than 4 GiB", chain->head);
	if (!in && chain->nr_in)
		return broken(vq, "the chain of descriptor %u has an out buffer after an in buffer",
			      chain->head);
	chain->iov[nr] = (struct iovec){.iov_base = ptr, .iov_len = desc->len};
	if (in)
		chain->nr_in++;
	else
		chain->nr_out++;
	return 0;
}

static int enter_indirect(struct virtqueue *vq, struct walk *walk, uint16_t head,
			  const struct vring_desc *desc)
{
	if (!vq->indirect)
		return broken(vq, "descriptor %u is indirect, which was not negotiated", head);
	if (walk->in_indirect)
		return broken(vq, "the indirect table of descriptor %u has another inside", head);
	if (desc->flags & VRING_DESC_F_NEXT)
		return broken(vq, "the chain of descriptor %u goes on after an indirect table",
			      head);
	if (desc->len == 0 || desc->len % sizeof(struct vring_desc))
		return broken(vq, "the indirect table of descriptor %u is %u bytes long", head,
			      desc->len);
	walk->table = memory_ptr(vq->mem, desc->addr, desc->len);
	if (!walk->table)
		return broken(vq, "the indirect table of descriptor %u is outside of memory", head);
	walk->table_len = desc->len / sizeof(struct vring_desc);
	walk->in_indirect = true;
	return 0;
}

/* The loop ends: each round adds one of a limited number of buffers, or enters the only indirect
 * table allowed. */
static int walk_chain(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct walk walk = {
		.table = vq->desc,
		.table_len = vq->num,
		.limit = vq->num < VIRTQUEUE_MAX_SEGS ? vq->num : VIRTQUEUE_MAX_SEGS,
	};
	uint32_t next = chain->head;
	int ret;

	for (;;) {
		struct vring_desc desc;

		if (next >= walk.table_len)
			return broken(vq, "the chain of descriptor %u leads to %u, of %u",
				      chain->head, next, walk.table_len);
		virtqueue_read(&desc, &walk.table[next], sizeof(desc));
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			ret = enter_indirect(vq, &walk, chain->head, &desc);
			if (ret)
				return ret;
			next = 0;
			continue;
		}
		ret = add_buffer(vq, &walk, chain, &desc);
		if (ret || !(desc.flags & VRING_DESC_F_NEXT))
			return ret;
		next = desc.next;
	}
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	/* Acquire: entries and descriptors are read after the index that covers them. */
	uint16_t idx = __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);
	uint16_t pending = (uint16_t)(idx - vq->next_avail);
	uint16_t head;
	int ret;

	if (pending == 0)
		return 0;
	if (pending > vq->num)
		return broken(vq, "its available index went from %u to %u, further than its size",
			      vq->next_avail, idx);
	head = __atomic_load_n(&vq->avail->ring[vq->next_avail % vq->num], __ATOMIC_RELAXED);
	if (head >= vq->num)
		return broken(vq, "descriptor %u was made available, of %u", head, vq->num);
	if (vq->busy[head])
		return broken(vq, "descriptor %u was made available while in use", head);
	chain->head = head;
	chain->nr_out = 0;
	chain->nr_in = 0;
	ret = walk_chain(vq, chain);
	if (ret)
		return ret;
	vq->busy[head] = true;
	vq->next_avail++;
	return 1;
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t len)
{
	struct vring_used_elem elem = {.id = head, .len = len};

	memory_store(vq->mem, &vq->used->ring[vq->next_used % vq->num], &elem, sizeof(elem));
	vq->busy[head] = false;
	vq->next_used++;
}

bool virtqueue_publish(struct virtqueue *vq)
{
	if (vq->published == vq->next_used)
		return false;
	vq->published = vq->next_used;
	/* Release: data, status bytes and elements are written before the index that covers
	 * them. */
	memory_store(vq->mem, &vq->used->idx, &vq->published, sizeof(vq->published));
	/* A driver that enables interrupts clears the flag and then reads used.idx; here idx is
	 * written and then the flag read. With a full barrier on both sides, at least one sees the
	 * other's store. */
	atomic_thread_fence(memory_order_seq_cst);
	return !(__atomic_load_n(&vq->avail->flags, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT);
}

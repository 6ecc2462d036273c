/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk over virtio-mmio (virtio 1.x, sections 5.2 and 4.2), with one split queue. All
 * requests in flight share its descriptors.
 */
#include "blk.h"

#include <stddef.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "console.h"
#include "cpu.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "platform.h"
#include "smp.h"
#include "spinlock.h"
#include "trap.h"

#define MMIO_MAGIC   0x74726976u /* "virt" */
#define MMIO_VERSION 2u
#define QUEUE_SIZE   256u
#define OVERHEAD     2u /* descriptors of a request besides its segments: header, status */
#define RESET_TRIES  1000000u

#define WANTED                                                                                     \
	(1ul << VIRTIO_F_VERSION_1 | 1ul << VIRTIO_BLK_F_RO | 1ul << VIRTIO_BLK_F_FLUSH |          \
	 1ul << VIRTIO_BLK_F_SEG_MAX)

/* The header and status byte of a request, indexed by its first descriptor. */
struct envelope {
	struct virtio_blk_outhdr header;
	uint8_t status;
};

/* The rings and envelopes, shared with the device as virtio specifies. */
static struct {
	_Alignas(4096) struct vring_desc desc[QUEUE_SIZE];
	_Alignas(64) uint16_t avail_flags;
	uint16_t avail_index, avail[QUEUE_SIZE];
	_Alignas(64) uint16_t used_flags;
	uint16_t used_index;
	struct vring_used_elem used[QUEUE_SIZE];
	struct envelope envelopes[QUEUE_SIZE];
} shared;

/* Written by blk_init(), constant afterwards. */
static struct {
	volatile uint8_t *regs; /* NULL: no device */
	uint64_t features, capacity;
	unsigned queue_size, max_segs;
	bool have_irq;
} disk;

/* Guarded by the lock, which the interrupt handler takes, too. */
static struct {
	struct spinlock lock;
	struct blk_request *owner[QUEUE_SIZE]; /* indexed by first descriptor */
	uint16_t first_free, nr_free;          /* free descriptors, linked by `next` */
	uint16_t seen_used;
	bool broken; /* the device needs a reset, so nothing works any more */
} queue;

static uint32_t reg_read(unsigned reg)
{
	return *(volatile uint32_t *)(disk.regs + reg);
}

static void reg_write(unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(disk.regs + reg) = value;
}

bool blk_present(void)
{
	return disk.regs;
}

bool blk_read_only(void)
{
	return disk.features & 1ul << VIRTIO_BLK_F_RO;
}

uint64_t blk_capacity(void)
{
	return disk.capacity;
}

unsigned blk_max_segs(void)
{
	return disk.max_segs;
}

static bool valid(const struct blk_request *r)
{
	uint64_t bytes = 0;

	if (!disk.regs)
		return false;
	if (r->op == BLK_FLUSH)
		return r->nr_segs == 0;
	if (r->nr_segs < 1 || r->nr_segs > disk.max_segs)
		return false;
	if (r->op == BLK_WRITE && blk_read_only())
		return false;
	for (unsigned i = 0; i < r->nr_segs; i++) {
		if (!r->segs[i].len || r->segs[i].len % BLK_SECTOR)
			return false;
		bytes += r->segs[i].len;
	}
	return r->sector <= disk.capacity && bytes / BLK_SECTOR <= disk.capacity - r->sector;
}

/* Takes a free descriptor as the next one of a chain. Under the lock, with enough free
 * descriptors. */
static uint16_t add_desc(uint64_t gpa, uint32_t len, uint16_t flags)
{
	uint16_t at = queue.first_free;
	struct vring_desc *d = &shared.desc[at];

	queue.first_free = d->next;
	queue.nr_free--;
	d->addr = gpa;
	d->len = len;
	d->flags = flags;
	return at; /* `next` already links the next free descriptor, which will be the next of the
		      chain */
}

static void fill_header(struct envelope *e, const struct blk_request *r)
{
	static const uint32_t types[] = {[BLK_READ] = VIRTIO_BLK_T_IN,
					 [BLK_WRITE] = VIRTIO_BLK_T_OUT,
					 [BLK_FLUSH] = VIRTIO_BLK_T_FLUSH};

	e->header = (struct virtio_blk_outhdr){
		.type = types[r->op],
		.sector = r->op == BLK_FLUSH ? 0 : r->sector,
	};
	e->status = UINT8_MAX;
}

/* Under the lock, with enough free descriptors. */
static void enqueue(struct blk_request *r)
{
	uint16_t write = r->op == BLK_READ ? VRING_DESC_F_WRITE : 0;
	uint16_t head = queue.first_free;
	struct envelope *e = &shared.envelopes[head];

	fill_header(e, r);
	add_desc(virt_to_phys(&e->header), sizeof(e->header), VRING_DESC_F_NEXT);
	for (unsigned i = 0; i < r->nr_segs; i++)
		add_desc(r->segs[i].gpa, r->segs[i].len, VRING_DESC_F_NEXT | write);
	add_desc(virt_to_phys(&e->status), sizeof(e->status), VRING_DESC_F_WRITE);
	queue.owner[head] = r;
	shared.avail[shared.avail_index % disk.queue_size] = head;
	__atomic_store_n(&shared.avail_index, shared.avail_index + 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(
		__ATOMIC_SEQ_CST); /* read the device's flags only after the index is visible */
	if (!(__atomic_load_n(&shared.used_flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY))
		reg_write(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

/* The request belongs to its waiter again as soon as the result is stored. */
static void complete(struct blk_request *r, enum blk_result result)
{
	unsigned cpu = r->cpu;

	__atomic_store_n(&r->result, result, __ATOMIC_RELEASE);
	smp_wake(cpu);
}

/* Under the lock. */
static void complete_head(uint16_t head)
{
	struct blk_request *r = queue.owner[head];
	uint8_t status = __atomic_load_n(&shared.envelopes[head].status, __ATOMIC_RELAXED);
	uint16_t last = head;

	queue.owner[head] = NULL;
	for (queue.nr_free++; shared.desc[last].flags & VRING_DESC_F_NEXT; queue.nr_free++)
		last = shared.desc[last].next;
	shared.desc[last].next = queue.first_free;
	queue.first_free = head;
	complete(r, status == VIRTIO_BLK_S_OK       ? BLK_OK
		    : status == VIRTIO_BLK_S_UNSUPP ? BLK_UNSUPPORTED
						    : BLK_ERROR);
}

/* Completes all requests that the device is done with. */
static void reap(void)
{
	uint64_t flags = spin_lock_irqsave(&queue.lock);

	while (queue.seen_used != __atomic_load_n(&shared.used_index, __ATOMIC_ACQUIRE)) {
		uint32_t head = shared.used[queue.seen_used++ % disk.queue_size].id;

		if (head >= disk.queue_size || !queue.owner[head])
			panic("the disk returns request %u, which is not in flight", head);
		complete_head(head);
	}
	spin_unlock_irqrestore(&queue.lock, flags);
}

/* The device does not work any more: all requests in flight fail. */
static void fail_all(void)
{
	uint64_t flags = spin_lock_irqsave(&queue.lock);

	queue.broken = true;
	for (unsigned head = 0; head < disk.queue_size; head++) {
		if (queue.owner[head])
			complete(queue.owner[head], BLK_ERROR);
		queue.owner[head] = NULL;
	}
	spin_unlock_irqrestore(&queue.lock, flags);
}

static void interrupt(void *arg)
{
	uint32_t status = reg_read(VIRTIO_MMIO_INTERRUPT_STATUS);

	(void)arg;
	reg_write(VIRTIO_MMIO_INTERRUPT_ACK, status);
	reap();
	if (status & VIRTIO_MMIO_INT_CONFIG &&
	    reg_read(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET)
		fail_all();
}

/* Returns false if there are not enough free descriptors now. */
static bool try_submit(struct blk_request *r)
{
	uint64_t flags = spin_lock_irqsave(&queue.lock);
	bool room = queue.nr_free >= r->nr_segs + OVERHEAD;

	if (queue.broken)
		r->result = BLK_ERROR;
	else if (room)
		enqueue(r);
	spin_unlock_irqrestore(&queue.lock, flags);
	return room || r->result != BLK_PENDING;
}

void blk_submit(struct blk_request *r)
{
	r->cpu = this_cpu()->id;
	r->result = BLK_PENDING;
	if (!valid(r)) {
		r->result = BLK_INVALID;
		return;
	}
	if (r->op == BLK_FLUSH && !(disk.features & 1ul << VIRTIO_BLK_F_FLUSH)) {
		r->result = BLK_OK; /* without the feature, writes are durable when completed */
		return;
	}
	while (!try_submit(r)) {
		reap();
		cpu_relax();
	}
}

enum blk_result blk_wait(struct blk_request *r)
{
	bool sleep = disk.have_irq && irqs_enabled();
	uint64_t flags = irq_save();
	uint32_t result;

	while ((result = __atomic_load_n(&r->result, __ATOMIC_ACQUIRE)) == BLK_PENDING) {
		if (sleep) {
			irq_enable_and_halt();
			irq_disable();
		} else {
			reap();
			cpu_relax();
		}
	}
	irq_restore(flags);
	return result;
}

static enum blk_result submit_and_wait(enum blk_op op, uint64_t sector, const struct blk_seg *segs,
				       unsigned nr_segs)
{
	struct blk_request r = {.op = op, .sector = sector, .segs = segs, .nr_segs = nr_segs};

	blk_submit(&r);
	return blk_wait(&r);
}

enum blk_result blk_read(uint64_t sector, const struct blk_seg *segs, unsigned nr_segs)
{
	return submit_and_wait(BLK_READ, sector, segs, nr_segs);
}

enum blk_result blk_write(uint64_t sector, const struct blk_seg *segs, unsigned nr_segs)
{
	return submit_and_wait(BLK_WRITE, sector, segs, nr_segs);
}

enum blk_result blk_flush(void)
{
	return submit_and_wait(BLK_FLUSH, 0, NULL, 0);
}

static void add_status(uint32_t bits)
{
	reg_write(VIRTIO_MMIO_STATUS, reg_read(VIRTIO_MMIO_STATUS) | bits);
}

/* Negotiates the features that both sides have. Returns false if the device refuses them. */
static bool negotiate(void)
{
	for (unsigned half = 0; half < 2; half++) {
		reg_write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
		disk.features |= (uint64_t)reg_read(VIRTIO_MMIO_DEVICE_FEATURES) << 32 * half;
	}
	disk.features &= WANTED;
	if (!(disk.features & 1ul << VIRTIO_F_VERSION_1))
		return false;
	for (unsigned half = 0; half < 2; half++) {
		reg_write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		reg_write(VIRTIO_MMIO_DRIVER_FEATURES, disk.features >> 32 * half);
	}
	add_status(VIRTIO_CONFIG_S_FEATURES_OK);
	return reg_read(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void write_address(unsigned reg_low, const void *va)
{
	reg_write(reg_low, virt_to_phys(va));
	reg_write(reg_low + 4, virt_to_phys(va) >> 32);
}

static bool setup_queue(void)
{
	uint32_t max;

	reg_write(VIRTIO_MMIO_QUEUE_SEL, 0);
	max = reg_read(VIRTIO_MMIO_QUEUE_NUM_MAX);
	disk.queue_size = QUEUE_SIZE;
	while (disk.queue_size > max)
		disk.queue_size /= 2;
	if (disk.queue_size < OVERHEAD + 1)
		return false;
	for (unsigned i = 0; i < disk.queue_size; i++)
		shared.desc[i].next = i + 1;
	queue.nr_free = disk.queue_size;
	reg_write(VIRTIO_MMIO_QUEUE_NUM, disk.queue_size);
	write_address(VIRTIO_MMIO_QUEUE_DESC_LOW, shared.desc);
	write_address(VIRTIO_MMIO_QUEUE_AVAIL_LOW, &shared.avail_flags);
	write_address(VIRTIO_MMIO_QUEUE_USED_LOW, &shared.used_flags);
	reg_write(VIRTIO_MMIO_QUEUE_READY, 1);
	return true;
}

static uint32_t config_read(unsigned offset)
{
	return reg_read(VIRTIO_MMIO_CONFIG + offset);
}

static void read_config(void)
{
	const unsigned capacity = offsetof(struct virtio_blk_config, capacity);
	uint32_t generation, seg_max = 1;

	do {
		generation = reg_read(VIRTIO_MMIO_CONFIG_GENERATION);
		disk.capacity = config_read(capacity) | (uint64_t)config_read(capacity + 4) << 32;
		if (disk.features & 1ul << VIRTIO_BLK_F_SEG_MAX)
			seg_max = config_read(offsetof(struct virtio_blk_config, seg_max));
	} while (generation != reg_read(VIRTIO_MMIO_CONFIG_GENERATION));
	disk.max_segs = disk.queue_size - OVERHEAD;
	if (disk.max_segs > BLK_SEGS_MAX)
		disk.max_segs = BLK_SEGS_MAX;
	if (disk.max_segs > seg_max)
		disk.max_segs = seg_max;
}

/* Returns NULL, or what is wrong with the device. */
static const char *start_device(unsigned gsi)
{
	reg_write(VIRTIO_MMIO_STATUS, 0);
	for (unsigned tries = 0; reg_read(VIRTIO_MMIO_STATUS); tries++)
		if (tries == RESET_TRIES)
			return "it does not reset";
	add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(VIRTIO_CONFIG_S_DRIVER);
	if (!negotiate())
		return "it refuses our features";
	if (!setup_queue())
		return "its queue is too short";
	read_config();
	disk.have_irq = register_irq(gsi, interrupt, NULL);
	add_status(VIRTIO_CONFIG_S_DRIVER_OK);
	return NULL;
}

void blk_init(void)
{
	for (unsigned i = 0; i < platform.nr_virtio && !disk.regs; i++) {
		const char *problem;

		disk.regs = map_device(platform.virtio[i].gpa, platform.virtio[i].size);
		if (reg_read(VIRTIO_MMIO_MAGIC_VALUE) != MMIO_MAGIC ||
		    reg_read(VIRTIO_MMIO_VERSION) != MMIO_VERSION ||
		    reg_read(VIRTIO_MMIO_DEVICE_ID) != VIRTIO_ID_BLOCK) {
			disk.regs = NULL;
			continue;
		}
		problem = start_device(platform.virtio[i].gsi);
		if (problem) {
			reg_write(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_FAILED);
			kprintf("guest: the disk can't be used: %s\n", problem);
			disk.regs = NULL;
			return;
		}
	}
}

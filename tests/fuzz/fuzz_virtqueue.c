/* SPDX-License-Identifier: MIT */
/*
 * The block device from its registers down to its I/O, but for threads and io_uring: the disk is an
 * array. The input is a program of a driver that writes registers, rings and descriptors as it
 * likes. Whatever it asks for stays within its memory and the disk, and is answered once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include "devices/blk/core.h"
#include "devices/bus.h"
#include "fuzz.h"
#include "kvm/memory.h"
#include "devices/virtio_mmio.h"

#define OPS_MAX 300u
#define MMIO    0x1000ull
#define SLOT    0x4000ull /* bytes */
#define HIGH    MEMORY_HIGH_START
#define SECTORS 16u
#define DISK    (SECTORS * 512u)
#define FLIGHT  (2 * VIRTQUEUE_MAX_SIZE)

#define DESC_GPA  0x0000ull /* where a tame driver has its queue of 16 */
#define AVAIL_GPA 0x0800ull
#define USED_GPA  0x0c00ull
#define QUEUE     16u

enum op {
	OP_REGISTER, /* write one */
	OP_READ,
	OP_BRING_UP,
	OP_DESC,
	OP_CHAIN, /* header, data and status as they should be */
	OP_OFFER,
	OP_POKE,
	OP_NOTIFY,
	OP_END, /* of one thing in flight */
	OP_ODD, /* an access of any width */
	OP_RESET,
	NR_OPS,
};

struct device {
	struct bytes program;
	struct memory mem;
	struct bus bus;
	struct virtio_mmio mmio;
	struct blk_core core;
	struct blk_disk blk;
	bool running;
	struct blk_op *op[FLIGHT];
	unsigned nr_ops;
	unsigned refuse; /* to start the next so many */
	uint8_t *disk;
};

/* --- the I/O ---------------------------------------------------------------------------------- */

/* All of it in one slot: the sanitizer watches their ends. */
static void check_iov(const struct device *d, const struct blk_op *op)
{
	for (unsigned i = 0; i < op->nr_iov; i++) {
		uint64_t gpa = memory_gpa(&d->mem, op->iov[i].iov_base);

		MUST(gpa != UINT64_MAX && op->iov[i].iov_len > 0);
		MUST(memory_ptr(&d->mem, gpa, op->iov[i].iov_len) == op->iov[i].iov_base);
	}
}

static int start_io(void *ctx, struct blk_op *op)
{
	struct device *d = ctx;

	if (d->refuse > 0) {
		d->refuse--;
		return -EAGAIN;
	}
	if (op->kind != BLK_FLUSH)
		check_iov(d, op);
	MUST(d->nr_ops < FLIGHT);
	d->op[d->nr_ops++] = op;
	return 0;
}

/* Up to `max` bytes of it. */
static int64_t transfer(struct device *d, const struct blk_op *op, uint64_t max)
{
	uint64_t at = op->offset, done = 0;

	for (unsigned i = 0; i < op->nr_iov && done < max; i++) {
		uint64_t len = op->iov[i].iov_len < max - done ? op->iov[i].iov_len : max - done;

		MUST(at + done + len <= DISK);
		if (op->kind == BLK_READ)
			memcpy(op->iov[i].iov_base, d->disk + at + done, len);
		else
			memcpy(d->disk + at + done, op->iov[i].iov_base, len);
		done += len;
	}
	return (int64_t)done;
}

/* How: all of it, a part, or an error. */
static void end_one(struct device *d, unsigned which, uint8_t how)
{
	static const int errors[] = {0, -EIO, -EINTR, -ENOSPC};
	struct blk_op *op = d->op[which];
	int64_t result = how & 1 ? errors[how >> 1 & 3] : 0;

	MUST(op->kind != BLK_WRITE || !d->blk.readonly);
	d->op[which] = d->op[--d->nr_ops];
	if (op->kind != BLK_FLUSH && !(how & 1))
		result = transfer(d, op, how & 8 ? 1 + (how >> 4) * 37u : UINT64_MAX);
	blk_core_done(&d->core, op, result);
}

static void end_all(struct device *d)
{
	while (d->nr_ops > 0)
		end_one(d, d->nr_ops - 1, 0);
	MUST(d->core.in_flight == 0);
}

/* --- the transport's device ------------------------------------------------------------------- */

static bool start(void *dev, unsigned queue, const struct virtqueue_layout *layout,
		  uint64_t features)
{
	struct device *d = dev;

	MUST(!d->running && queue == 0);
	d->running = blk_core_start(&d->core, &d->mem, layout, features) == 0;
	if (!d->running)
		virtio_mmio_needs_reset(&d->mmio);
	return d->running;
}

static void stop(void *dev, unsigned queue)
{
	struct device *d = dev;

	MUST(d->running && queue == 0);
	end_all(d);
	blk_core_publish(&d->core);
	d->running = false;
}

static void serve(void *dev, unsigned queue)
{
	struct device *d = dev;
	bool broken = d->core.broken;

	MUST(d->running && queue == 0);
	while (blk_core_take(&d->core))
		;
	if (d->core.broken && !broken) {
		MUST(d->core.vq.fault[0]);
		virtio_mmio_needs_reset(&d->mmio);
	}
	if (blk_core_publish(&d->core))
		virtio_mmio_used(&d->mmio);
}

static void raise(void *dev)
{
	(void)dev;
}

static const struct virtio_mmio_ops ops = {
	.start = start, .stop = stop, .notify = serve, .raise = raise};

/* --- the driver ------------------------------------------------------------------------------- */

static void write_reg(struct device *d, uint64_t off, uint32_t value)
{
	MUST(bus_write(&d->bus, NULL, MMIO + off, 4, value));
}

static void bring_up(struct device *d, uint8_t how)
{
	uint32_t low = how & 1 ? 1u << VIRTIO_RING_F_INDIRECT_DESC : 0;

	low |= how & 2 ? 1u << VIRTIO_BLK_F_FLUSH : 0;
	write_reg(d, VIRTIO_MMIO_STATUS, 0);
	write_reg(d, VIRTIO_MMIO_STATUS, 3);
	write_reg(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	write_reg(d, VIRTIO_MMIO_DRIVER_FEATURES, low);
	write_reg(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	write_reg(d, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	write_reg(d, VIRTIO_MMIO_STATUS, 11);
	write_reg(d, VIRTIO_MMIO_QUEUE_NUM, QUEUE);
	write_reg(d, VIRTIO_MMIO_QUEUE_DESC_LOW, DESC_GPA);
	write_reg(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, AVAIL_GPA);
	write_reg(d, VIRTIO_MMIO_QUEUE_USED_LOW, USED_GPA);
	write_reg(d, VIRTIO_MMIO_QUEUE_READY, 1);
	write_reg(d, VIRTIO_MMIO_STATUS, 15);
}

static void *at(struct device *d, uint64_t gpa)
{
	return d->mem.slot[0].hva + gpa % SLOT;
}

static void write_desc(struct device *d)
{
	uint8_t how = take1(&d->program);
	struct vring_desc *desc = at(d, DESC_GPA + (how & 31) * sizeof(*desc));

	desc->addr = take(&d->program, 2) + (how & 0x80 ? HIGH : 0);
	desc->len = (uint32_t)take(&d->program, how & 0x40 ? 4 : 1) * (how & 0x20 ? 512 : 1);
	desc->flags = take1(&d->program);
	desc->next = desc->flags >> 3;
}

static void write_chain(struct device *d)
{
	static const uint32_t lengths[] = {512, 1024, 4096, 20, 0, 513, 8192, 100};
	uint8_t how = take1(&d->program), first = take1(&d->program) % 13;
	uint64_t header_gpa = 0x1000 + first * 16ull, in = how & 7 ? VRING_DESC_F_WRITE : 0;
	struct virtio_blk_outhdr header = {.type = how & 7 ? (how & 7) - 1 : 1,
					   .sector = take1(&d->program)};
	struct vring_desc *desc = at(d, DESC_GPA + first * sizeof(*desc));

	memcpy(at(d, header_gpa), &header, sizeof(header));
	desc[0] = (struct vring_desc){header_gpa, 16, VRING_DESC_F_NEXT, first + 1};
	desc[1] = (struct vring_desc){how & 0x80 ? HIGH : 0x1800, lengths[how >> 3 & 7],
				      (uint16_t)(VRING_DESC_F_NEXT | in), first + 2};
	if (lengths[how >> 3 & 7] == 0)
		desc[0].next = first + 2;
	desc[2] = (struct vring_desc){0x1400 + first, 1, VRING_DESC_F_WRITE, 0};
}

static void offer(struct device *d)
{
	uint16_t *avail = at(d, AVAIL_GPA);
	uint8_t how = take1(&d->program);

	avail[2 + avail[1] % QUEUE] = how & 0x80 ? (uint16_t)take(&d->program, 2) : how & 15;
	avail[1] += how & 0x40 ? how >> 4 : 1;
	avail[0] = how >> 5 & 1;
}

static void access_oddly(struct device *d)
{
	uint8_t how = take1(&d->program);
	unsigned len = 1u << (how & 3);
	uint64_t off = take(&d->program, 2) % (VIRTIO_MMIO_REGION_SIZE - 8), value;

	if (how & 4)
		bus_write(&d->bus, NULL, MMIO + off, len, take(&d->program, len));
	else
		bus_read(&d->bus, NULL, MMIO + off, len, &value);
}

static void step(struct device *d)
{
	uint64_t value;
	uint8_t how;

	switch (take1(&d->program) % NR_OPS) {
	case OP_REGISTER:
		how = take1(&d->program);
		write_reg(d, how & 0x3f ? (how & 0x3fu) * 4 : 0x70,
			  (uint32_t)take(&d->program, how & 0x80 ? 4 : 1));
		break;
	case OP_READ:
		MUST(bus_read(&d->bus, NULL, MMIO + take1(&d->program) * 4ull % 0x140, 4, &value));
		break;
	case OP_BRING_UP:
		bring_up(d, take1(&d->program));
		break;
	case OP_DESC:
		write_desc(d);
		break;
	case OP_CHAIN:
		write_chain(d);
		break;
	case OP_OFFER:
		offer(d);
		break;
	case OP_POKE:
		how = take1(&d->program);
		memcpy(at(d, take(&d->program, 2) & 0x1fff),
		       (uint64_t[]){take(&d->program, how & 7)}, how & 7);
		break;
	case OP_NOTIFY:
		how = take1(&d->program);
		d->refuse = how >> 6;
		write_reg(d, VIRTIO_MMIO_QUEUE_NOTIFY, how & 3);
		break;
	case OP_END:
		how = take1(&d->program);
		if (d->nr_ops > 0)
			end_one(d, take1(&d->program) % d->nr_ops, how);
		break;
	case OP_ODD:
		access_oddly(d);
		break;
	default:
		write_reg(d, VIRTIO_MMIO_STATUS, 0);
		MUST(!d->running && d->nr_ops == 0);
		break;
	}
}

static void make(struct device *d)
{
	static const struct virtio_blk_config config = {.capacity = SECTORS, .blk_size = 512};
	struct bus_region region = {.base = MMIO,
				    .size = VIRTIO_MMIO_REGION_SIZE,
				    .ops = &virtio_mmio_bus_ops,
				    .dev = &d->mmio};
	const struct virtio_mmio_device device = {
		.id = 2,
		.nr_queues = 1,
		.features = 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_BLK_F_FLUSH,
		.config = &config,
		.config_size = sizeof(config),
	};
	struct blk_io io = {.start = start_io, .ctx = d};
	uint8_t how = take1(&d->program);

	/* Each slot is an allocation of its own. */
	d->mem = (struct memory){.nr = 2,
				 .slot = {{.gpa = 0, .size = SLOT, .hva = calloc(1, SLOT)},
					  {.gpa = HIGH, .size = SLOT, .hva = calloc(1, SLOT)}}};
	d->disk = calloc(1, DISK);
	d->blk = (struct blk_disk){
		.name = "disk", .sectors = SECTORS, .readonly = how & 1, .id = "disk0"};
	MUST(blk_core_init(&d->core, &d->blk, &io) == 0);
	d->core.told = true;
	virtio_mmio_init(&d->mmio, &ops, d, &device);
	MUST(bus_add(&d->bus, &region) == 0);
}

static void unmake(struct device *d)
{
	write_reg(d, VIRTIO_MMIO_STATUS, 0);
	MUST(!d->running);
	virtio_mmio_destroy(&d->mmio);
	blk_core_free(&d->core);
	free(d->disk);
	free(d->mem.slot[0].hva);
	free(d->mem.slot[1].hva);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct device d;
	unsigned nr = 0;

	memset(&d, 0, sizeof(d));
	d.program = (struct bytes){data, size};
	make(&d);
	while (d.program.left > 0 && nr++ < OPS_MAX)
		step(&d);
	unmake(&d);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "devices/blk/virtio_blk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include "devices/blk/worker.h"
#include "devices/bus.h"
#include "devices/virtio_host.h"
#include "devices/virtio_mmio.h"
#include "json_object.h"
#include "say.h"
#include "status.h"
#include "stop.h"

struct virtio_blk {
	struct virtio_host host;
	const char *path;
	uint64_t mmio_base;
	unsigned gsi;
	int irq_fd; /* eventfd: each write is an edge on the interrupt pin */
	struct virtio_mmio mmio;
	struct blk_image image;
	struct blk_worker worker;
	atomic_bool told_broken; /* reported once, since a guest could repeat it at will */
};

static void tell_broken(struct virtio_blk *blk, const char *why)
{
	if (!atomic_exchange(&blk->told_broken, true))
		say("disk %s: the guest's queue is broken: %s; the disk stops until it is reset",
		    blk->path, why);
	virtio_mmio_needs_reset(&blk->mmio);
}

/* Called by the transport, on vCPU threads. */

static bool transport_start(void *dev, unsigned queue, const struct virtqueue_layout *layout,
			    uint64_t features)
{
	struct virtio_blk *blk = dev;

	(void)queue;
	if (!blk_worker_start(&blk->worker, blk->host.mem, layout, features))
		return true;
	tell_broken(blk, blk->worker.core.vq.fault);
	return false;
}

static void transport_stop(void *dev, unsigned queue)
{
	struct virtio_blk *blk = dev;

	(void)queue;
	blk_worker_stop(&blk->worker);
}

static void transport_notify(void *dev, unsigned queue)
{
	struct virtio_blk *blk = dev;

	(void)queue;
	blk_worker_kick(&blk->worker);
}

static void transport_raise(void *dev)
{
	struct virtio_blk *blk = dev;

	(void)TEMP_FAILURE_RETRY(eventfd_write(blk->irq_fd, 1));
}

static const struct virtio_mmio_ops transport_ops = {
	.start = transport_start,
	.stop = transport_stop,
	.notify = transport_notify,
	.raise = transport_raise,
};

/* Called by the worker, on its thread. */

static void worker_used(void *ctx)
{
	struct virtio_blk *blk = ctx;

	virtio_mmio_used(&blk->mmio);
}

static void worker_broken(void *ctx, const char *why)
{
	tell_broken(ctx, why);
}

static void worker_failed(void *ctx, int error)
{
	struct virtio_blk *blk = ctx;

	errno = error;
	say_errno("io_uring_enter (disk %s)", blk->path);
	stop_request(blk->host.stop, VMM_EX_OSERR);
}

static const struct blk_worker_ops worker_ops = {
	.used = worker_used,
	.broken = worker_broken,
	.failed = worker_failed,
};

static int set_irqfd(const struct virtio_blk *blk, uint32_t flags)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)blk->irq_fd, .gsi = blk->gsi, .flags = flags};

	if (ioctl(blk->host.vm_fd, KVM_IRQFD, &irqfd))
		return say_errno("KVM_IRQFD (disk %s, GSI %u)", blk->path, blk->gsi);
	return 0;
}

static int set_ioeventfd(const struct virtio_blk *blk, uint32_t flags)
{
	/* Writes of another queue's number reach the transport, which ignores them. */
	struct kvm_ioeventfd ioeventfd = {
		.addr = blk->mmio_base + VIRTIO_MMIO_QUEUE_NOTIFY,
		.len = 4,
		.datamatch = 0,
		.fd = blk->worker.kick_fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
	};

	if (ioctl(blk->host.vm_fd, KVM_IOEVENTFD, &ioeventfd))
		return say_errno("KVM_IOEVENTFD (disk %s)", blk->path);
	return 0;
}

/* Connects the device with the guest: registers, ioeventfd, irqfd. */
static int connect_guest(struct virtio_blk *blk)
{
	struct bus_region region = {
		.base = blk->mmio_base,
		.size = VIRTIO_MMIO_REGION_SIZE,
		.ops = &virtio_mmio_bus_ops,
		.dev = &blk->mmio,
	};
	int ret = set_irqfd(blk, 0);

	if (ret)
		return ret;
	ret = set_ioeventfd(blk, 0);
	if (ret)
		goto no_irqfd;
	ret = bus_add(blk->host.mmio, &region);
	if (!ret)
		return 0;
	say("disk %s: there is no room for its registers at %#llx", blk->path,
	    (unsigned long long)blk->mmio_base);
	set_ioeventfd(blk, KVM_IOEVENTFD_FLAG_DEASSIGN);
no_irqfd:
	set_irqfd(blk, KVM_IRQFD_FLAG_DEASSIGN);
	return ret;
}

static void init_transport(struct virtio_blk *blk, bool readonly)
{
	const struct virtio_blk_config config = {
		.capacity = blk->image.sectors,
		.seg_max = VIRTQUEUE_MAX_SEGS - 2, /* header and status have buffers too */
		.blk_size = BLK_SECTOR,
	};
	const struct virtio_mmio_device device = {
		.id = VIRTIO_ID_BLOCK,
		.nr_queues = 1,
		.features = 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_SEG_MAX |
			    1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
			    (readonly ? 1ull << VIRTIO_BLK_F_RO : 0),
		.config = &config,
		.config_size = sizeof(config),
	};

	virtio_mmio_init(&blk->mmio, &transport_ops, blk, &device);
}

static int start_worker(struct virtio_blk *blk, unsigned index, bool readonly)
{
	struct blk_disk disk = {
		.name = blk->path,
		.sectors = blk->image.sectors,
		.readonly = readonly,
	};

	snprintf(disk.id, sizeof(disk.id), "disk%u", index);
	disk.track = blk->host.track;
	return blk_worker_create(&blk->worker, blk->host.sandbox, &blk->image, &disk, &worker_ops,
				 blk);
}

int virtio_blk_create(const struct virtio_host *host, unsigned index,
		      const struct disk_option *disk, uint64_t mmio_base, unsigned gsi,
		      struct virtio_blk **out)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	int ret = -ENOMEM;

	if (!blk) {
		say("disk %s: no memory for it", disk->path);
		return ret;
	}
	blk->host = *host;
	blk->path = disk->path;
	blk->mmio_base = mmio_base;
	blk->gsi = gsi;
	ret = blk_image_open(&blk->image, disk);
	if (ret)
		goto free_blk;
	blk->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (blk->irq_fd < 0) {
		ret = say_errno("eventfd (disk %s)", disk->path);
		goto close_image;
	}
	init_transport(blk, disk->readonly);
	ret = start_worker(blk, index, disk->readonly);
	if (ret) {
		ret = -EIO; /* not the file's fault */
		goto close_irq;
	}
	ret = connect_guest(blk);
	if (!ret) {
		*out = blk;
		return 0;
	}
	blk_worker_destroy(&blk->worker);
close_irq:
	virtio_mmio_destroy(&blk->mmio);
	close(blk->irq_fd);
close_image:
	blk_image_close(&blk->image);
free_blk:
	free(blk);
	return ret;
}

void virtio_blk_destroy(struct virtio_blk *blk)
{
	if (!blk)
		return;
	set_ioeventfd(blk, KVM_IOEVENTFD_FLAG_DEASSIGN);
	set_irqfd(blk, KVM_IRQFD_FLAG_DEASSIGN);
	blk_worker_destroy(&blk->worker);
	virtio_mmio_destroy(&blk->mmio);
	close(blk->irq_fd);
	blk_image_close(&blk->image);
	free(blk);
}

void virtio_blk_stop(struct virtio_blk *blk)
{
	blk_worker_stop(&blk->worker);
}

int virtio_blk_sync(struct virtio_blk *blk)
{
	return blk->worker.core.disk.readonly ? 0 : blk_image_sync(&blk->image, blk->path);
}

static const struct field blk_fields[] = {
	FIELD(blk_stats, requests),   FIELD(blk_stats, reads),
	FIELD(blk_stats, writes),     FIELD(blk_stats, flushes),
	FIELD(blk_stats, bytes_read), FIELD(blk_stats, bytes_written),
	FIELD(blk_stats, io_errors),  FIELD(blk_stats, unsupported),
	FIELD(blk_stats, continued),  FIELD(blk_stats, batches),
	FIELD(blk_stats, syncs),      FIELD(blk_stats, interrupts),
	FIELD(blk_stats, broken),     FIELD(blk_stats, max_in_flight),
};

void virtio_blk_stats(struct virtio_blk *blk, json_t *object)
{
	object_add_text(object, "file", blk->path);
	ADD_FIELDS(object, blk_fields, &blk->worker.core.stats);
}

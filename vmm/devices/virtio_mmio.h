/* SPDX-License-Identifier: MIT */
/*
 * The virtio-mmio transport, version 2 (virtio 1.2, 4.2.2), for a device with one queue. Modern
 * drivers only: FEATURES_OK is refused without VIRTIO_F_VERSION_1. No KVM in here: the device says
 * where an interrupt goes.
 *
 * Interrupts are edges. The device publishes used elements, then sets the bit in InterruptStatus,
 * then makes an edge; a driver's handler acknowledges what it read in InterruptStatus, then looks
 * at the ring. Nothing is lost: bits set after the acknowledgement are followed by an edge of their
 * own, which the local APIC keeps pending while a handler runs; bits set before it, which it may
 * clear unread, stand for elements published before it, and those the handler finds as it looks at
 * the ring after it. The edge that is then left over finds InterruptStatus 0 and nothing to do.
 * Status is level information beside the edge, and never what triggers it.
 */
#ifndef VMM_DEVICES_VIRTIO_MMIO_H
#define VMM_DEVICES_VIRTIO_MMIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "devices/bus.h"
#include "devices/virtqueue.h"

#define VIRTIO_MMIO_REGION_SIZE 0x200ull

/* Called under the transport's lock, from the vCPU's thread that wrote the register. */
struct virtio_mmio_ops {
	/* The driver is ready and so is its queue. Returns false if the queue can't be served; the
	 * device has called virtio_mmio_needs_reset() then. */
	bool (*start)(void *dev, const struct virtqueue_layout *layout, uint64_t features);
	/* Reset, or the queue is taken back: on return nothing is in flight and the device touches
	 * guest memory no more. Follows a start that returned true. */
	void (*stop)(void *dev);
	/* QueueNotify (only writes that no ioeventfd has taken come here). */
	void (*notify)(void *dev);
	/* Makes an edge on the interrupt line; any thread. */
	void (*raise)(void *dev);
};

struct virtio_mmio {
	/* Never change. */
	const struct virtio_mmio_ops *ops;
	void *dev;
	uint32_t device_id;
	uint64_t device_features;
	const void *config; /* the device's configuration: it never changes, so generation is 0 */
	size_t config_size;

	/* Bits are set by vCPUs (under the lock) and, VIRTIO_CONFIG_S_NEEDS_RESET, by the device's
	 * thread while started; 0 at the end of a reset. Read without the lock, so that a driver
	 * that polls for the end of a reset sees it only when it has come. */
	atomic_uint status;
	/* VIRTIO_MMIO_INT_*: set by the device's thread, cleared by acknowledging vCPUs. */
	atomic_uint interrupt_status;

	/* Held over a whole register access by a vCPU, the wait for ops->stop included. */
	pthread_mutex_t lock;
	/* Under the lock: */
	uint64_t driver_features;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
	struct virtqueue_layout queue;
	bool queue_ready;
	bool started;
};

/* Bus operations; the region's `dev` is the struct virtio_mmio. */
extern const struct bus_ops virtio_mmio_bus_ops;

void virtio_mmio_init(struct virtio_mmio *mmio, const struct virtio_mmio_ops *ops, void *dev,
		      uint32_t device_id, uint64_t features, const void *config,
		      size_t config_size);
void virtio_mmio_destroy(struct virtio_mmio *mmio);

/* Used elements were published and the driver wants to know. The device's thread. */
void virtio_mmio_used(struct virtio_mmio *mmio);

/* The device is stuck until the driver resets it; tells the driver so. The device's thread while
 * started, or within ops->start. */
void virtio_mmio_needs_reset(struct virtio_mmio *mmio);

#endif

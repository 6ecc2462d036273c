/* SPDX-License-Identifier: MIT */
/*
 * The virtio-mmio transport, version 2 (virtio 1.2, 4.2.2). Modern drivers only: FEATURES_OK is
 * refused without VIRTIO_F_VERSION_1. No KVM in here: the device makes the interrupt.
 *
 * Interrupts are edges, and none is lost. The device publishes used elements, sets the bit in
 * InterruptStatus, and makes an edge, in this order. The driver's handler acknowledges the bits
 * that it read in InterruptStatus, and looks at the ring after that. A bit that is set after the
 * acknowledgement is followed by an edge of its own, which the local APIC keeps pending while the
 * handler runs. A bit that is set before it, and cleared by it unread, stands for elements that
 * were published earlier, which the handler finds in the ring. The edge that is left over finds
 * InterruptStatus 0 and has no effect. InterruptStatus only tells the driver about the edge; it
 * does not trigger one.
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
#define VIRTIO_MMIO_CONFIG_SIZE 0x100ull /* the end of the region: the device's configuration */
#define VIRTIO_MMIO_MAX_QUEUES  2

/* The device's functions. Called with the transport's lock held, on the thread of the vCPU that
 * wrote the register. */
struct virtio_mmio_ops {
	/* The driver and this queue are ready. Returns false if the queue can't be served, after
	 * calling virtio_mmio_needs_reset(). */
	bool (*start)(void *dev, unsigned queue, const struct virtqueue_layout *layout,
		      uint64_t features);
	/* Reset, or the queue was disabled. On return nothing of this queue is in flight, and the
	 * device no longer touches its memory. Called only after a start() that returned true. */
	void (*stop)(void *dev, unsigned queue);
	/* QueueNotify, for writes that no ioeventfd has taken. */
	void (*notify)(void *dev, unsigned queue);
	/* The driver has read the configuration, and no notification of a change of it waits to be
	 * acknowledged. Without the lock. May be NULL. */
	void (*config_read)(void *dev);
	/* Makes an edge on the interrupt line. Any thread. */
	void (*raise)(void *dev);
};

/* What the driver can read about the device. */
struct virtio_mmio_device {
	uint32_t id;
	unsigned nr_queues; /* up to VIRTIO_MMIO_MAX_QUEUES */
	uint64_t features;  /* without VIRTIO_F_VERSION_1, which is always offered */
	const void *config; /* copied */
	size_t config_size; /* up to VIRTIO_MMIO_CONFIG_SIZE */
};

struct virtio_mmio_queue {
	struct virtqueue_layout layout;
	bool ready;
	bool started;
};

struct virtio_mmio {
	/* Constant. */
	const struct virtio_mmio_ops *ops;
	void *dev;
	uint32_t device_id;
	unsigned nr_queues;
	uint64_t device_features;

	/* The device status. vCPUs set bits under the lock; the device's thread sets
	 * VIRTIO_CONFIG_S_NEEDS_RESET while started; the end of a reset sets it to 0. It is read
	 * without the lock, so that a driver that polls for the end of a reset sees 0 only when the
	 * reset is over. */
	atomic_uint status;
	/* VIRTIO_MMIO_INT_*: set by the device's thread, cleared by vCPUs that acknowledge. */
	atomic_uint interrupt_status;

	/* Held only for short moments, so that any thread may take it. Guarded by it: */
	pthread_mutex_t config_lock;
	uint32_t generation; /* ConfigGeneration: counts the changes of the configuration */
	uint8_t config[VIRTIO_MMIO_CONFIG_SIZE];

	/* Held by a vCPU during a whole register access, including the wait for ops->stop. */
	pthread_mutex_t lock;
	/* Guarded by the lock: */
	uint64_t driver_features;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
	struct virtio_mmio_queue queue[VIRTIO_MMIO_MAX_QUEUES];
};

/* For the MMIO bus; the region's `dev` is the struct virtio_mmio. */
extern const struct bus_ops virtio_mmio_bus_ops;

void virtio_mmio_init(struct virtio_mmio *mmio, const struct virtio_mmio_ops *ops, void *dev,
		      const struct virtio_mmio_device *device);
void virtio_mmio_destroy(struct virtio_mmio *mmio);

/* Tells the driver that used elements were published. The device's thread, if the driver wants an
 * interrupt (virtqueue_publish()). */
void virtio_mmio_used(struct virtio_mmio *mmio);

/* Changes the start of the configuration to these bytes, and tells the driver. Any thread. */
void virtio_mmio_set_config(struct virtio_mmio *mmio, const void *config, size_t size);

/* Has the driver read the configuration again, if it is ready. Any thread. */
void virtio_mmio_tell_config(struct virtio_mmio *mmio);

/* Tells the driver that the device does not work until it is reset. The device's thread while
 * started, or within ops->start. */
void virtio_mmio_needs_reset(struct virtio_mmio *mmio);

#endif

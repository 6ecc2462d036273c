/* SPDX-License-Identifier: MIT */
#include "devices/virtio_mmio.h"

#include <string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#define MAGIC     0x74726976u /* "virt" */
#define VENDOR_ID 0x50415254u /* "TRAP" */

/* Bits of Status that a driver may set; what it clears stays set until a reset. */
#define DRIVER_STATUS                                                                              \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |      \
	 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED)

void virtio_mmio_init(struct virtio_mmio *mmio, const struct virtio_mmio_ops *ops, void *dev,
		      uint32_t device_id, uint64_t features, const void *config, size_t config_size)
{
	*mmio = (struct virtio_mmio){
		.ops = ops,
		.dev = dev,
		.device_id = device_id,
		.device_features = features | 1ull << VIRTIO_F_VERSION_1,
		.config = config,
		.config_size = config_size,
	};
	pthread_mutex_init(&mmio->lock, NULL);
}

void virtio_mmio_destroy(struct virtio_mmio *mmio)
{
	pthread_mutex_destroy(&mmio->lock);
}

static void interrupt(struct virtio_mmio *mmio, uint32_t bit)
{
	atomic_fetch_or(&mmio->interrupt_status, bit);
	mmio->ops->raise(mmio->dev);
}

void virtio_mmio_used(struct virtio_mmio *mmio)
{
	interrupt(mmio, VIRTIO_MMIO_INT_VRING);
}

void virtio_mmio_needs_reset(struct virtio_mmio *mmio)
{
	atomic_fetch_or(&mmio->status, VIRTIO_CONFIG_S_NEEDS_RESET);
	interrupt(mmio, VIRTIO_MMIO_INT_CONFIG);
}

static void stop(struct virtio_mmio *mmio)
{
	if (mmio->started)
		mmio->ops->stop(mmio->dev);
	mmio->started = false;
}

/* Starts the device once the driver is ready and its queue too. A queue that was found broken is
 * not started again before a reset. */
static void start_if_ready(struct virtio_mmio *mmio)
{
	unsigned status = atomic_load(&mmio->status);

	if (mmio->started || !mmio->queue_ready || !(status & VIRTIO_CONFIG_S_DRIVER_OK) ||
	    (status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	mmio->started = mmio->ops->start(mmio->dev, &mmio->queue, mmio->driver_features);
}

/* The driver may forget about its memory as soon as the write is done: many don't wait for Status
 * to read as 0. So the write itself waits until what is in flight has ended. */
static void reset(struct virtio_mmio *mmio)
{
	stop(mmio);
	mmio->driver_features = 0;
	mmio->device_features_sel = 0;
	mmio->driver_features_sel = 0;
	mmio->queue_sel = 0;
	mmio->queue = (struct virtqueue_layout){0};
	mmio->queue_ready = false;
	atomic_store(&mmio->interrupt_status, 0);
	atomic_store(&mmio->status, 0);
}

static bool features_acceptable(const struct virtio_mmio *mmio)
{
	return !(mmio->driver_features & ~mmio->device_features) &&
	       mmio->driver_features & 1ull << VIRTIO_F_VERSION_1;
}

static void write_status(struct virtio_mmio *mmio, uint32_t value)
{
	unsigned old = atomic_load(&mmio->status);

	if (value == 0) {
		reset(mmio);
		return;
	}
	value &= DRIVER_STATUS;
	if (!(old & VIRTIO_CONFIG_S_FEATURES_OK) && !features_acceptable(mmio))
		value &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((old | value) & VIRTIO_CONFIG_S_FEATURES_OK))
		value &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	atomic_fetch_or(&mmio->status, value);
	start_if_ready(mmio);
}

static void write_driver_features(struct virtio_mmio *mmio, uint32_t value)
{
	unsigned shift = mmio->driver_features_sel * 32;

	if (atomic_load(&mmio->status) & VIRTIO_CONFIG_S_FEATURES_OK)
		return; /* settled */
	if (mmio->driver_features_sel > 1)
		return; /* no such bits are offered */
	mmio->driver_features &= ~((uint64_t)UINT32_MAX << shift);
	mmio->driver_features |= (uint64_t)value << shift;
}

static void write_queue_ready(struct virtio_mmio *mmio, uint32_t value)
{
	mmio->queue_ready = value & 1;
	if (mmio->queue_ready)
		start_if_ready(mmio);
	else
		stop(mmio);
}

static void set_low(uint64_t *address, uint32_t value)
{
	*address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
	*address = (uint64_t)value << 32 | (*address & UINT32_MAX);
}

/* Registers of the queue that QueueSel names; there is only queue 0. While it is ready its place is
 * settled. */
static void write_queue(struct virtio_mmio *mmio, uint64_t off, uint32_t value)
{
	struct virtqueue_layout *queue = &mmio->queue;

	if (mmio->queue_sel != 0)
		return;
	if (off == VIRTIO_MMIO_QUEUE_READY) {
		write_queue_ready(mmio, value);
		return;
	}
	if (mmio->queue_ready)
		return;
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NUM:
		queue->num = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&queue->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&queue->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&queue->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&queue->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&queue->used, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&queue->used, value);
		break;
	default:
		break;
	}
}

static void write_locked(struct virtio_mmio *mmio, uint64_t off, uint32_t value)
{
	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(mmio, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		if (value == 0 && mmio->started)
			mmio->ops->notify(mmio->dev);
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(mmio, value);
		break;
	default:
		write_queue(mmio, off, value);
		break;
	}
}

/* Registers are 32 bits wide and accessed as such (4.2.2.2); nothing in the configuration can be
 * written. */
static void mmio_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value)
{
	struct virtio_mmio *mmio = dev;

	(void)vcpu;
	if (off >= VIRTIO_MMIO_CONFIG || len != 4 || off % 4)
		return;
	if (off == VIRTIO_MMIO_INTERRUPT_ACK) {
		atomic_fetch_and(&mmio->interrupt_status, ~(uint32_t)value);
		return;
	}
	pthread_mutex_lock(&mmio->lock);
	write_locked(mmio, off, (uint32_t)value);
	pthread_mutex_unlock(&mmio->lock);
}

static uint32_t read_locked(const struct virtio_mmio *mmio, uint64_t off)
{
	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return mmio->device_features_sel > 1 ? 0
						     : (uint32_t)(mmio->device_features >>
								  mmio->device_features_sel * 32);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return mmio->queue_sel == 0 ? VIRTQUEUE_MAX_SIZE : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return mmio->queue_sel == 0 && mmio->queue_ready;
	default:
		return 0;
	}
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t off)
{
	uint32_t value;

	switch (off) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return mmio->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR_ID;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return atomic_load(&mmio->interrupt_status);
	case VIRTIO_MMIO_STATUS:
		return atomic_load(&mmio->status);
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return 0;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* there is no shared memory region */
	default:
		pthread_mutex_lock(&mmio->lock);
		value = read_locked(mmio, off);
		pthread_mutex_unlock(&mmio->lock);
		return value;
	}
}

static uint64_t mmio_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	struct virtio_mmio *mmio = dev;
	uint64_t value = 0;
	size_t at = off - VIRTIO_MMIO_CONFIG;

	(void)vcpu;
	if (off < VIRTIO_MMIO_CONFIG)
		return len == 4 && off % 4 == 0 ? read_register(mmio, off) : 0;
	if (at < mmio->config_size)
		memcpy(&value, (const uint8_t *)mmio->config + at,
		       mmio->config_size - at < len ? mmio->config_size - at : len);
	return value;
}

const struct bus_ops virtio_mmio_bus_ops = {.read = mmio_read, .write = mmio_write};

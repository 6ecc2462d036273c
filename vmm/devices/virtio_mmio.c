/* SPDX-License-Identifier: MIT */
#include "devices/virtio_mmio.h"

#include <string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#define MAGIC     0x74726976u /* "virt" */
#define VENDOR_ID 0x50415254u /* "TRAP" */

/* The bits of Status that a driver may set. They are cleared by a reset only. */
#define DRIVER_STATUS                                                                              \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |      \
	 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED)

void virtio_mmio_init(struct virtio_mmio *mmio, const struct virtio_mmio_ops *ops, void *dev,
		      const struct virtio_mmio_device *device)
{
	*mmio = (struct virtio_mmio){
		.ops = ops,
		.dev = dev,
		.device_id = device->id,
		.nr_queues = device->nr_queues,
		.device_features = device->features | 1ull << VIRTIO_F_VERSION_1,
	};
	memcpy(mmio->config, device->config, device->config_size);
	pthread_mutex_init(&mmio->config_lock, NULL);
	pthread_mutex_init(&mmio->lock, NULL);
}

void virtio_mmio_destroy(struct virtio_mmio *mmio)
{
	pthread_mutex_destroy(&mmio->config_lock);
	pthread_mutex_destroy(&mmio->lock);
}

static void raise_interrupt(struct virtio_mmio *mmio, uint32_t bit)
{
	atomic_fetch_or(&mmio->interrupt_status, bit);
	mmio->ops->raise(mmio->dev);
}

void virtio_mmio_used(struct virtio_mmio *mmio)
{
	raise_interrupt(mmio, VIRTIO_MMIO_INT_VRING);
}

void virtio_mmio_needs_reset(struct virtio_mmio *mmio)
{
	atomic_fetch_or(&mmio->status, VIRTIO_CONFIG_S_NEEDS_RESET);
	raise_interrupt(mmio, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_mmio_tell_config(struct virtio_mmio *mmio)
{
	if (atomic_load(&mmio->status) & VIRTIO_CONFIG_S_DRIVER_OK)
		raise_interrupt(mmio, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_mmio_set_config(struct virtio_mmio *mmio, const void *config, size_t size)
{
	pthread_mutex_lock(&mmio->config_lock);
	memcpy(mmio->config, config, size);
	mmio->generation++;
	pthread_mutex_unlock(&mmio->config_lock);
	virtio_mmio_tell_config(mmio);
}

static void stop_device(struct virtio_mmio *mmio, unsigned i)
{
	if (mmio->queue[i].started)
		mmio->ops->stop(mmio->dev, i);
	mmio->queue[i].started = false;
}

/* Starts the ready queues once the driver is ready, too. After a queue has broken a rule, none is
 * started before a reset. */
static void start_if_ready(struct virtio_mmio *mmio)
{
	for (unsigned i = 0; i < mmio->nr_queues; i++) {
		struct virtio_mmio_queue *queue = &mmio->queue[i];
		unsigned status = atomic_load(&mmio->status);

		if (!queue->started && queue->ready && status & VIRTIO_CONFIG_S_DRIVER_OK &&
		    !(status & VIRTIO_CONFIG_S_NEEDS_RESET))
			queue->started = mmio->ops->start(mmio->dev, i, &queue->layout,
							  mmio->driver_features);
	}
}

/* Many drivers reuse the queue's memory right after this write, without waiting for Status to read
 * 0. So the write itself waits until nothing is in flight. */
static void reset_device(struct virtio_mmio *mmio)
{
	for (unsigned i = 0; i < mmio->nr_queues; i++)
		stop_device(mmio, i);
	mmio->driver_features = 0;
	mmio->device_features_sel = 0;
	mmio->driver_features_sel = 0;
	mmio->queue_sel = 0;
	memset(mmio->queue, 0, sizeof(mmio->queue));
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
		reset_device(mmio);
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
	mmio->queue[mmio->queue_sel].ready = value & 1;
	if (value & 1)
		start_if_ready(mmio);
	else
		stop_device(mmio, mmio->queue_sel);
}

static void set_low(uint64_t *address, uint32_t value)
{
	*address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
	*address = (uint64_t)value << 32 | (*address & UINT32_MAX);
}

/* Registers of the queue that QueueSel selects. While it is ready its addresses are fixed. */
static void write_queue(struct virtio_mmio *mmio, uint64_t off, uint32_t value)
{
	struct virtqueue_layout *queue;

	if (mmio->queue_sel >= mmio->nr_queues)
		return;
	if (off == VIRTIO_MMIO_QUEUE_READY) {
		write_queue_ready(mmio, value);
		return;
	}
	if (mmio->queue[mmio->queue_sel].ready)
		return;
	queue = &mmio->queue[mmio->queue_sel].layout;
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
		if (value < mmio->nr_queues && mmio->queue[value].started)
			mmio->ops->notify(mmio->dev, value);
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(mmio, value);
		break;
	default:
		write_queue(mmio, off, value);
		break;
	}
}

/* Registers are 32 bits wide and accessed as such (4.2.2.2); the configuration is read-only. */
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
	bool selected = mmio->queue_sel < mmio->nr_queues;

	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return mmio->device_features_sel > 1 ? 0
						     : (uint32_t)(mmio->device_features >>
								  mmio->device_features_sel * 32);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return selected ? VIRTQUEUE_MAX_SIZE : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return selected && mmio->queue[mmio->queue_sel].ready;
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
		pthread_mutex_lock(&mmio->config_lock);
		value = mmio->generation;
		pthread_mutex_unlock(&mmio->config_lock);
		return value;
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

static uint64_t read_config(struct virtio_mmio *mmio, uint64_t at, unsigned len)
{
	uint64_t value = 0;

	if (at + len > VIRTIO_MMIO_CONFIG_SIZE)
		return 0;
	pthread_mutex_lock(&mmio->config_lock);
	memcpy(&value, mmio->config + at, len);
	pthread_mutex_unlock(&mmio->config_lock);
	if (mmio->ops->config_read &&
	    !(atomic_load(&mmio->interrupt_status) & VIRTIO_MMIO_INT_CONFIG))
		mmio->ops->config_read(mmio->dev);
	return value;
}

static uint64_t mmio_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	struct virtio_mmio *mmio = dev;

	(void)vcpu;
	if (off >= VIRTIO_MMIO_CONFIG)
		return read_config(mmio, off - VIRTIO_MMIO_CONFIG, len);
	return len == 4 && off % 4 == 0 ? read_register(mmio, off) : 0;
}

const struct bus_ops virtio_mmio_bus_ops = {.read = mmio_read, .write = mmio_write};

/* SPDX-License-Identifier: MIT */
#include "registers.h"

#include <check.h>

uint32_t reg_read(const struct bus *bus, uint64_t off)
{
	uint64_t value;

	ck_assert(bus_read(bus, NULL, MMIO_BASE + off, 4, &value));
	return (uint32_t)value;
}

void reg_write(const struct bus *bus, uint64_t off, uint32_t value)
{
	ck_assert(bus_write(bus, NULL, MMIO_BASE + off, 4, value));
}

uint64_t reg_read_features(const struct bus *bus)
{
	uint64_t low;

	reg_write(bus, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = reg_read(bus, VIRTIO_MMIO_DEVICE_FEATURES);
	reg_write(bus, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	return low | (uint64_t)reg_read(bus, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
}

void reg_write_features(const struct bus *bus, uint64_t features)
{
	reg_write(bus, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(bus, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	reg_write(bus, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(bus, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

void reg_write_layout(const struct bus *bus, unsigned queue, const struct virtqueue_layout *layout)
{
	reg_write(bus, VIRTIO_MMIO_QUEUE_SEL, queue);
	reg_write(bus, VIRTIO_MMIO_QUEUE_NUM, layout->num);
	reg_write(bus, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)layout->desc);
	reg_write(bus, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(layout->desc >> 32));
	reg_write(bus, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)layout->avail);
	reg_write(bus, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(layout->avail >> 32));
	reg_write(bus, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)layout->used);
	reg_write(bus, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(layout->used >> 32));
}

uint32_t reg_bring_up(const struct bus *bus, uint64_t features,
		      const struct virtqueue_layout *layout)
{
	reg_write(bus, VIRTIO_MMIO_STATUS, 0);
	reg_write(bus, VIRTIO_MMIO_STATUS, ACK);
	reg_write(bus, VIRTIO_MMIO_STATUS, ACK | DRIVER);
	reg_write_features(bus, features);
	reg_write(bus, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEAT_OK);
	reg_write_layout(bus, 0, layout);
	reg_write(bus, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_write(bus, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEAT_OK | DRIVER_OK);
	return reg_read(bus, VIRTIO_MMIO_STATUS);
}

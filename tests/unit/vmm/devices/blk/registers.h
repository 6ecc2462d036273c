/* SPDX-License-Identifier: MIT */
/* A driver at the registers of a virtio-mmio device, through the bus as a vCPU would. */
#ifndef TEST_REGISTERS_H
#define TEST_REGISTERS_H

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include "devices/bus.h"
#include "devices/virtqueue.h"

#define MMIO_BASE 0xd0000000ull

#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define ACK       VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER    VIRTIO_CONFIG_S_DRIVER
#define FEAT_OK   VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK VIRTIO_CONFIG_S_DRIVER_OK
#define BROKEN    VIRTIO_CONFIG_S_NEEDS_RESET

uint32_t reg_read(const struct bus *bus, uint64_t off);
void reg_write(const struct bus *bus, uint64_t off, uint32_t value);
uint64_t reg_read_features(const struct bus *bus);
void reg_write_features(const struct bus *bus, uint64_t features);
void reg_write_layout(const struct bus *bus, unsigned queue, const struct virtqueue_layout *layout);
/* All the steps of 3.1.1, from reset to DRIVER_OK. Returns Status. */
uint32_t reg_bring_up(const struct bus *bus, uint64_t features,
		      const struct virtqueue_layout *layout);

#endif

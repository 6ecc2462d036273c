/* SPDX-License-Identifier: MIT */
/* A driver of the first disk that does as it is told, however wrong. It polls. */
#ifndef HOSTILE_VIRTIO_H
#define HOSTILE_VIRTIO_H

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include "hostile.h"

#define QUEUE_SIZE  8u
#define NO_ANSWER   0xaa
#define DISK_TRIES  20000000u
#define DRIVER_IS   (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define FEATURES_OK (DRIVER_IS | VIRTIO_CONFIG_S_FEATURES_OK)

static struct {
	_Alignas(4096) struct vring_desc desc[QUEUE_SIZE];
	_Alignas(64) uint16_t avail_flags;
	uint16_t avail_idx, avail[QUEUE_SIZE + 1];
	_Alignas(64) uint16_t used_flags;
	volatile uint16_t used_idx;
	struct vring_used_elem used[QUEUE_SIZE + 1];
	_Alignas(64) struct virtio_blk_outhdr header;
	volatile uint8_t status;
} disk;

/* The hole for devices, which the direct map of the first GiB does not reach. */
static table_t disk_l1, disk_l2, disk_l3;

static inline volatile uint32_t *disk_reg(unsigned reg)
{
	return (volatile uint32_t *)(0xffffff8000000000ull + reg);
}

static inline void map_disk(void)
{
	disk_l1[0] = VIRTIO_GPA | P | RW | 0x18;
	disk_l2[0] = entry(disk_l1, P | RW);
	disk_l3[0] = entry(disk_l2, P | RW);
	require(pin(disk_l1, 1) == ALIAS_OK);
	require(pin(disk_l2, 2) == ALIAS_OK);
	require(pin(disk_l3, 3) == ALIAS_OK);
	require(set(&tree.root[511], entry(disk_l3, P | RW)));
}

/* Resets it and sets its queue up, at these places. False: it won't have it. */
static inline bool disk_start_at(uint64_t desc, uint64_t avail, uint64_t used, uint32_t num,
				 uint32_t features)
{
	*disk_reg(VIRTIO_MMIO_STATUS) = 0;
	disk.avail_idx = 0;
	disk.used_idx = 0;
	*disk_reg(VIRTIO_MMIO_STATUS) = DRIVER_IS;
	*disk_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = 0;
	*disk_reg(VIRTIO_MMIO_DRIVER_FEATURES) = features;
	*disk_reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = 1;
	*disk_reg(VIRTIO_MMIO_DRIVER_FEATURES) = 1; /* VIRTIO_F_VERSION_1 */
	*disk_reg(VIRTIO_MMIO_STATUS) = FEATURES_OK;
	*disk_reg(VIRTIO_MMIO_QUEUE_SEL) = 0;
	*disk_reg(VIRTIO_MMIO_QUEUE_NUM) = num;
	*disk_reg(VIRTIO_MMIO_QUEUE_DESC_LOW) = (uint32_t)desc;
	*disk_reg(VIRTIO_MMIO_QUEUE_DESC_HIGH) = (uint32_t)(desc >> 32);
	*disk_reg(VIRTIO_MMIO_QUEUE_AVAIL_LOW) = (uint32_t)avail;
	*disk_reg(VIRTIO_MMIO_QUEUE_AVAIL_HIGH) = (uint32_t)(avail >> 32);
	*disk_reg(VIRTIO_MMIO_QUEUE_USED_LOW) = (uint32_t)used;
	*disk_reg(VIRTIO_MMIO_QUEUE_USED_HIGH) = (uint32_t)(used >> 32);
	*disk_reg(VIRTIO_MMIO_QUEUE_READY) = 1;
	*disk_reg(VIRTIO_MMIO_STATUS) = FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	return !(*disk_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static inline bool disk_start_with(uint32_t features)
{
	return disk_start_at(gpa_of(disk.desc), gpa_of(&disk.avail_flags), gpa_of(&disk.used_flags),
			     QUEUE_SIZE, features);
}

static inline bool disk_start(void)
{
	map_disk();
	return disk_start_with(0);
}

static inline void describe(unsigned i, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	disk.desc[i] = (struct vring_desc){.addr = gpa, .len = len, .flags = flags, .next = next};
}

/* Makes that descriptor available. True: answered; false: the device wants a reset. */
static inline bool disk_try(uint16_t head)
{
	disk.avail[disk.avail_idx % QUEUE_SIZE] = head;
	__atomic_store_n(&disk.avail_idx, disk.avail_idx + 1, __ATOMIC_SEQ_CST);
	*disk_reg(VIRTIO_MMIO_QUEUE_NOTIFY) = 0;
	for (unsigned i = 0; i < DISK_TRIES; i++) {
		if (disk.used_idx == disk.avail_idx)
			return true;
		if (i % 64 == 0 && *disk_reg(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return false;
		relax();
	}
	require(!"the disk answers");
	return false;
}

/* In three descriptors of a table, the first three. */
static inline void lay_out_read(struct vring_desc table[3], uint64_t sector, uint64_t gpa,
				uint32_t len)
{
	disk.header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = sector};
	disk.status = NO_ANSWER;
	table[0] = (struct vring_desc){gpa_of(&disk.header), sizeof(disk.header), VRING_DESC_F_NEXT,
				       1};
	table[1] = (struct vring_desc){gpa, len, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2};
	table[2] =
		(struct vring_desc){gpa_of((const void *)&disk.status), 1, VRING_DESC_F_WRITE, 0};
}

/* The status, or NO_ANSWER. */
static inline uint8_t disk_read(uint64_t sector, uint64_t gpa, uint32_t len)
{
	lay_out_read(disk.desc, sector, gpa, len);
	return disk_try(0) ? disk.status : NO_ANSWER;
}

#endif

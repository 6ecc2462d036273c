/* SPDX-License-Identifier: MIT */
/*
 * A full queue of reads of a GiB each, all into the same few pages; then the disk is reset
 * ("reset") or the guest powers off ("off").
 *
 * Every --track: what is queued is left off; the disk works again, or vmm ends. (tests/machine/
 * test_disk.c has the disk.)
 */
#include "virtio.h"

#define NUM     256u
#define BUFFERS 62u
#define BUFFER  (16u << 20)
#define BUSY    2000000u

static struct {
	_Alignas(4096) struct vring_desc desc[NUM];
	_Alignas(4096) struct vring_desc table[BUFFERS + 2];
	_Alignas(64) uint16_t flags;
	uint16_t idx, ring[NUM + 1];
	_Alignas(64) uint16_t used_flags;
	uint16_t used_idx;
	struct vring_used_elem used[NUM + 1];
} flood;

static void lay_out(void)
{
	uint8_t *status = (uint8_t *)&disk.status;

	disk.header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN};
	flood.table[0] = (struct vring_desc){gpa_of(&disk.header), sizeof(disk.header),
					     VRING_DESC_F_NEXT, 1};
	for (uint16_t i = 1; i <= BUFFERS; i++)
		flood.table[i] = (struct vring_desc){8 << 20, BUFFER,
						     VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, i + 1};
	flood.table[BUFFERS + 1] = (struct vring_desc){gpa_of(status), 1, VRING_DESC_F_WRITE, 0};
	for (uint16_t i = 0; i < NUM; i++) {
		flood.desc[i] = (struct vring_desc){gpa_of(flood.table), sizeof(flood.table),
						    VRING_DESC_F_INDIRECT, 0};
		flood.ring[i] = i;
	}
}

static void hostile_main(void)
{
	map_disk();
	lay_out();
	require(disk_start_at(gpa_of(flood.desc), gpa_of(&flood.flags), gpa_of(&flood.used_flags),
			      NUM, 1u << VIRTIO_RING_F_INDIRECT_DESC));
	__atomic_store_n(&flood.idx, NUM, __ATOMIC_SEQ_CST);
	*disk_reg(VIRTIO_MMIO_QUEUE_NOTIFY) = 0;
	for (unsigned i = 0; i < BUSY; i++)
		relax();
	if (word_is("off"))
		return;
	require(disk_start_with(0));
	check(disk_read(0, gpa_of(spare[0]), 512) == VIRTIO_BLK_S_OK);
}

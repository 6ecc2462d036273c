/* SPDX-License-Identifier: MIT */
/*
 * Indirect descriptors abused: not negotiated, one within another, one that goes on, of sizes
 * that are no table's, out of memory, and one that is the ring itself.
 *
 * Every --track: the disk stops, says so once, and works again after a reset.
 */
#include "virtio.h"

#define INDIRECT (1u << VIRTIO_RING_F_INDIRECT_DESC)

static void try_indirect(uint64_t gpa, uint32_t len, uint16_t flags)
{
	require(disk_start_with(INDIRECT));
	describe(0, gpa, len, VRING_DESC_F_INDIRECT | flags, 1);
	check(!disk_try(0));
}

/* The table holds a read that would be a good one, did it end with its third descriptor. */
static void try_on_to(struct vring_desc *table, uint16_t next)
{
	lay_out_read(table, 0, gpa_of(spare[0]), 512);
	table[2].flags |= VRING_DESC_F_NEXT;
	table[2].next = next;
	table[3] = (struct vring_desc){gpa_of(table), 64, VRING_DESC_F_INDIRECT, 0};
	try_indirect(gpa_of(table), 64, 0);
}

static void hostile_main(void)
{
	struct vring_desc *table = (void *)spare[1];

	require(disk_start());
	lay_out_read(table, 0, gpa_of(spare[0]), 512);
	describe(0, gpa_of(table), 64, VRING_DESC_F_INDIRECT, 0);
	check(!disk_try(0));
	try_on_to(table, 2);
	try_on_to(table, 3);
	try_on_to(table, 4);
	try_indirect(gpa_of(disk.desc), 64, 0);
	lay_out_read(table, 0, gpa_of(spare[0]), 512);
	try_indirect(gpa_of(table), 64, VRING_DESC_F_NEXT);
	try_indirect(gpa_of(table), 0, 0);
	try_indirect(gpa_of(table), 63, 0);
	try_indirect(gpa_of(table), UINT32_MAX - 15, 0);
	try_indirect(UINT64_MAX - 63, 64, 0);
	try_indirect(VIRTIO_GPA, 64, 0);
	require(disk_start_with(0));
	check(disk_read(0, gpa_of(spare[0]), 512) == VIRTIO_BLK_S_OK);
}

/* SPDX-License-Identifier: MIT */
/*
 * A descriptor ring with loops, a chain that leads out of it, and one that is available twice.
 *
 * Every --track: the disk stops, says so once, and works again after a reset.
 */
#include "virtio.h"

/* A read that would be a good one, did it end with its third descriptor. */
static void try_on_to(uint16_t next)
{
	require(disk_start_with(0));
	lay_out_read(disk.desc, 0, gpa_of(spare[0]), 512);
	disk.desc[2].flags |= VRING_DESC_F_NEXT;
	disk.desc[2].next = next;
	check(!disk_try(0));
}

static void hostile_main(void)
{
	uint64_t page = gpa_of(spare[0]);

	require(disk_start());
	for (unsigned i = 3; i < QUEUE_SIZE; i++)
		describe(i, page, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
			 (uint16_t)((i + 1) % QUEUE_SIZE));
	try_on_to(3);
	try_on_to(2);
	try_on_to(QUEUE_SIZE);
	require(disk_start_with(0));
	describe(0, page, 16, VRING_DESC_F_NEXT, 0);
	check(!disk_try(0));
	require(disk_start_with(0));
	check(!disk_try(UINT16_MAX));
	require(disk_start_with(0));
	disk.avail_idx = 1000;
	check(!disk_try(0));
	require(disk_start_with(0));
	check(disk_read(0, page, 512) == VIRTIO_BLK_S_OK);
}

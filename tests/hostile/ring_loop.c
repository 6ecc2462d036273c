/* SPDX-License-Identifier: MIT */
/*
 * A descriptor ring with loops, a chain that leads out of it, and one that is available twice.
 *
 * Every source: the disk stops, says so once, and works again after a reset.
 */
#include "virtio.h"

static void hostile_main(void)
{
	uint64_t page = gpa_of(spare[0]);

	require(disk_start());
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		describe(i, page, 16, VRING_DESC_F_NEXT, (uint16_t)((i + 1) % QUEUE_SIZE));
	check(!disk_try(0));
	require(disk_start_with(0));
	describe(0, page, 16, VRING_DESC_F_NEXT, 0);
	check(!disk_try(0));
	require(disk_start_with(0));
	describe(0, page, 16, VRING_DESC_F_NEXT, QUEUE_SIZE);
	check(!disk_try(0));
	require(disk_start_with(0));
	check(!disk_try(UINT16_MAX));
	require(disk_start_with(0));
	disk.avail_idx = 1000;
	check(!disk_try(0));
	require(disk_start_with(0));
	check(disk_read(0, page, 512) == VIRTIO_BLK_S_OK);
}

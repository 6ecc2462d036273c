/* SPDX-License-Identifier: MIT */
/*
 * Descriptors, and rings, over the end of a slot, in the hole for devices, or wrapping.
 *
 * Every --track: the disk stops, says so once, and works again after a reset; nothing beyond the
 * end is read or written.
 */
#include "virtio.h"

static uint64_t memory_end(void)
{
	const struct pvh_start_info *info = direct(START_INFO_GPA);
	const struct pvh_memmap *map = direct(info->memmap_paddr);
	const struct pvh_memmap *last = &map[info->memmap_entries - 1];

	return last->addr + last->size;
}

static void try_buffer(uint64_t gpa, uint32_t len)
{
	require(disk_start_with(0));
	check(disk_read(0, gpa, len) == NO_ANSWER);
}

static void hostile_main(void)
{
	uint64_t end = memory_end(), ring = gpa_of(disk.desc);

	require(disk_start());
	try_buffer(end - 512, 1024);
	try_buffer(end - 512, 513);
	try_buffer(end, 512);
	try_buffer(UINT64_MAX - 511, 1024);
	try_buffer(UINT64_MAX - 511, 512);
	try_buffer(VIRTIO_GPA, 512);
	try_buffer(0, UINT32_MAX);
	try_buffer(gpa_of(spare[0]), 0);
	check(!disk_start_at(end - 16, ring, ring, QUEUE_SIZE, 0));
	check(!disk_start_at(ring, end - 4, ring, QUEUE_SIZE, 0));
	check(!disk_start_at(ring, ring, end - 8, QUEUE_SIZE, 0));
	check(!disk_start_at(UINT64_MAX - 15, ring, ring, QUEUE_SIZE, 0));
	check(!disk_start_at(ring, ring, ring, 0, 0));
	check(!disk_start_at(ring, ring, ring, UINT32_MAX, 0));
	check(!disk_start_at(ring + 1, ring, ring, QUEUE_SIZE, 0));
	require(disk_start_with(0));
	check(disk_read(0, gpa_of(spare[0]), 512) == VIRTIO_BLK_S_OK);
}

/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <string.h>

#include "bootargs.h"
#include "frame.h"
#include "panic.h"
#include "pgtable.h"
#include "platform.h"

BOOTARG(touch, "1: touch all memory first, so that the host has allocated it before the workload");

extern const char image_start[], image_end[]; /* guest.ld */

/* Calls fn(arg, start, end) for each range of memory in [from, to) that is not reserved, in
 * ascending order. */
static void for_each_free(uint64_t from, uint64_t to,
			  void (*fn)(void *arg, uint64_t start, uint64_t end), void *arg)
{
	for (unsigned m = 0; m < platform.nr_memory; m++) {
		uint64_t at = platform.memory[m].start, end = platform.memory[m].end;

		at = at > from ? at : from;
		end = end < to ? end : to;
		for (unsigned r = 0; r < platform.nr_reserved && at < end; r++) {
			const struct phys_range *hole = &platform.reserved[r];

			if (hole->end <= at)
				continue;
			if (hole->start > at)
				fn(arg, at, hole->start < end ? hole->start : end);
			at = hole->end;
		}
		if (at < end)
			fn(arg, at, end);
	}
}

struct search {
	uint64_t size, found; /* 0: none found yet */
};

static void find_room(void *arg, uint64_t start, uint64_t end)
{
	struct search *s = arg;

	if (!s->found && end - start >= s->size)
		s->found = start;
}

/* Makes the host allocate the memory. Frames that are free may be overwritten; a load would not do,
 * since the host answers it with its shared page of zeroes. */
static void touch(uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += PAGE_SIZE)
		*(volatile uint64_t *)phys_to_virt(at) = 0;
}

static void add_free(void *arg, uint64_t start, uint64_t end)
{
	(void)arg;
	if (arg_u64("touch", 0))
		touch(start, end);
	frame_add(start >> PAGE_SHIFT, end >> PAGE_SHIFT);
}

void memory_init(void)
{
	uint64_t nr_pages = platform.memory[platform.nr_memory - 1].end >> PAGE_SHIFT;
	struct search room = {.size = nr_pages * sizeof(struct page)};
	struct page *pages;

	platform_add_reserved(&platform, virt_to_phys(image_start), image_end - image_start);
	for_each_free(0, BOOT_MAPPED, find_room, &room);
	if (!room.found)
		panic("no room below 4 GiB for the array of frames, %lu MiB", room.size >> 20);
	platform_add_reserved(&platform, room.found, room.size);
	pages = phys_to_virt(room.found);
	/* With vmm, memory is zero at the start, and most of this array is never touched. */
	if (!platform.has_host)
		memset(pages, 0, room.size);
	frame_init(pages, nr_pages);
	/* Only what the boot tables map: the final tables are allocated from it. */
	for_each_free(0, BOOT_MAPPED, add_free, NULL);
	pgtable_init();
	for_each_free(BOOT_MAPPED, UINT64_MAX, add_free, NULL);
}

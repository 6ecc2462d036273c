/* SPDX-License-Identifier: MIT */
#include "diskdump.h"

#include <string.h>
#include <unistd.h>
#include "physmem.h"

/* struct disk_dump_header, in the first block */
#define AT_VERSION       8u
#define AT_MACHINE       0x110u
#define AT_BITMAP_BLOCKS 0x1b4u
/* struct kdump_sub_header, in the second */
#define AT_NOTES     (FRAME_SIZE + 48u) /* their offset in the file, and their size */
#define AT_MAX_MAPNR (FRAME_SIZE + 96u)

#define MAX_MAPNR_SINCE 6 /* version */

static uint32_t load32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static uint64_t load64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

bool diskdump_read(struct diskdump *header, int fd)
{
	uint8_t blocks[2 * FRAME_SIZE];

	if (pread(fd, blocks, sizeof(blocks), 0) != (ssize_t)sizeof(blocks))
		return false;
	*header = (struct diskdump){
		.counts_frames = load32(blocks + AT_VERSION) >= MAX_MAPNR_SINCE,
		.frames = load64(blocks + AT_MAX_MAPNR),
		.bitmap_bits = 8ull * FRAME_SIZE * load32(blocks + AT_BITMAP_BLOCKS),
		.notes_at = load64(blocks + AT_NOTES),
		.notes_size = load64(blocks + AT_NOTES + 8),
	};
	memcpy(header->machine, blocks + AT_MACHINE, sizeof(header->machine) - 1);
	return true;
}

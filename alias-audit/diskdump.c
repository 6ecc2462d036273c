/* SPDX-License-Identifier: MIT */
#include "diskdump.h"

#include <string.h>
#include <unistd.h>
#include <bsd/sys/endian.h>
#include "physmem.h"

/* struct disk_dump_header, in the first block */
#define AT_VERSION       8u
#define AT_MACHINE       0x110u
#define AT_BITMAP_BLOCKS 0x1b4u
/* struct kdump_sub_header, in the second */
#define AT_NOTES     (FRAME_SIZE + 48u) /* their offset in the file, and their size */
#define AT_MAX_MAPNR (FRAME_SIZE + 96u)

#define MAX_MAPNR_SINCE 6 /* version */

bool diskdump_read(struct diskdump *header, int fd)
{
	uint8_t blocks[2 * FRAME_SIZE];

	if (pread(fd, blocks, sizeof(blocks), 0) != (ssize_t)sizeof(blocks))
		return false;
	*header = (struct diskdump){
		.counts_frames = le32dec(blocks + AT_VERSION) >= MAX_MAPNR_SINCE,
		.frames = le64dec(blocks + AT_MAX_MAPNR),
		.bitmap_bits = 8ull * FRAME_SIZE * le32dec(blocks + AT_BITMAP_BLOCKS),
		.notes_at = le64dec(blocks + AT_NOTES),
		.notes_size = le64dec(blocks + AT_NOTES + 8),
	};
	memcpy(header->machine, blocks + AT_MACHINE, sizeof(header->machine) - 1);
	return true;
}

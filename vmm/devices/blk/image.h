/* SPDX-License-Identifier: MIT */
/* The file or block device that holds the content of a disk. */
#ifndef VMM_DEVICES_BLK_IMAGE_H
#define VMM_DEVICES_BLK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include "options.h"

#define BLK_SECTOR 512u

struct blk_image {
	int fd;
	uint64_t sectors; /* > 0 */
};

/* Returns false, after a message that names them, if two of these disks are the same file or block
 * device, whatever their paths, and not both are read-only. */
bool blk_images_are_distinct(const struct disk_option *disks, unsigned nr);
/* Opens the image and locks it by flock(), exclusively or, for a read-only disk, shared, so that no
 * two writers use it; closing the descriptor unlocks it. An image that is empty, or whose size is
 * not a multiple of BLK_SECTOR, is refused, since rounding down would hide its end from the guest.
 * Returns 0, or a negated errno after a message. */
int blk_image_open(struct blk_image *image, const struct disk_option *disk);
/* Waits until everything written is on the medium; `path` is for the message. Returns 0, or a
 * negated errno after a message that says what may be lost. */
int blk_image_sync(const struct blk_image *image, const char *path);
void blk_image_close(struct blk_image *image);

#endif

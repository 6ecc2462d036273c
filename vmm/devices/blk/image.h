/* SPDX-License-Identifier: MIT */
/* The file or block device that holds a disk. */
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

/* Whether none of these is another one's file or block device, by whatever path, unless both are
 * read-only. False after saying which. */
bool blk_images_are_distinct(const struct disk_option *disks, unsigned nr);
/* Opens the image and locks it (flock: exclusive, or shared for a read-only disk), so that no two
 * writers share one; the lock goes with the fd. An image that is empty or not a multiple of
 * BLK_SECTOR long is refused: to round down would hide its end from the guest. Returns 0, or a
 * negated errno after saying why. */
int blk_image_open(struct blk_image *image, const struct disk_option *disk);
/* Waits until all that was written is on the medium; `path` is its name. Returns 0, or a negated
 * errno after saying what may be lost. */
int blk_image_sync(const struct blk_image *image, const char *path);
void blk_image_close(struct blk_image *image);

#endif

/* SPDX-License-Identifier: MIT */
/* The archive that a Linux unpacks into its first root file system. */
#ifndef VMM_BOOT_INITRD_H
#define VMM_BOOT_INITRD_H

#include <stdint.h>
#include "boot/image.h"
#include "kvm/memory.h"

struct initrd {
	uint64_t gpa, size;
};

/* Reads the file at `path` into guest memory, as high as it may lie, above all of the kernel's
 * segments, which are in memory. Returns 0, or a status of status.h after saying why. */
int initrd_load(struct initrd *initrd, const struct memory *mem, const struct image *image,
		const char *path);

#endif

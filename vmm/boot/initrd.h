/* SPDX-License-Identifier: MIT */
/* The initrd: the archive that Linux unpacks into its first root file system. */
#ifndef VMM_BOOT_INITRD_H
#define VMM_BOOT_INITRD_H

#include <stdint.h>
#include "boot/image.h"
#include "kvm/memory.h"

struct initrd {
	uint64_t gpa, size;
};

/* Reads the file at `path` into guest memory: as high as the kernel allows, and above all its
 * segments, which are loaded already. Returns 0, or a negated errno after a message: ENOEXEC if the
 * file is no initrd or does not fit, or why it can't be read. */
int initrd_load(struct initrd *initrd, const struct memory *mem, const struct image *image,
		const char *path);

#endif

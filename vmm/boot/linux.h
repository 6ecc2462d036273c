/* SPDX-License-Identifier: MIT */
/*
 * A Linux as guest: what it finds in memory when it is entered. It learns about its machine by
 * ACPI, and by a map of its memory.
 */
#ifndef VMM_BOOT_LINUX_H
#define VMM_BOOT_LINUX_H

#include <stdint.h>
#include "boot/image.h"
#include "kvm/memory.h"

/* A bzImage is entered with these. */
#define LINUX_GDT_GPA         0x5000ull
#define LINUX_GDT_LIMIT       0x1f
#define LINUX_BOOT_PARAMS_GPA 0x6000ull
#define LINUX_PAGE_TABLES_GPA 0x9000ull /* the L4; they map the first 4 GiB one to one */

struct linux_config {
	const char *cmdline; /* up to image->cmdline_max characters */
	const char *initrd;  /* path, or NULL for none */
	unsigned nr_vcpus;
	unsigned nr_disks;
};

/* Puts kernel, initrd, command line, ACPI tables and all the rest into memory. `image` is of
 * another kind than IMAGE_GUEST. Returns 0, or a status of status.h after saying why. */
int linux_load(const struct memory *mem, const struct image *image,
	       const struct linux_config *config);

#endif

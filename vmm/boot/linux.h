/* SPDX-License-Identifier: MIT */
/*
 * Linux as guest: what it finds in memory at its entry. It learns about its machine from ACPI
 * tables and a memory map.
 */
#ifndef VMM_BOOT_LINUX_H
#define VMM_BOOT_LINUX_H

#include <stdbool.h>
#include <stdint.h>
#include "boot/image.h"
#include "kvm/memory.h"

/* Where the entry of a bzImage finds its GDT, boot_params and page tables. */
#define LINUX_GDT_GPA         0x5000ull
#define LINUX_GDT_LIMIT       0x1f
#define LINUX_BOOT_PARAMS_GPA 0x6000ull
#define LINUX_PAGE_TABLES_GPA 0x9000ull /* the L4 table; they map the first 4 GiB one to one */

struct linux_config {
	const char *cmdline; /* up to image->cmdline_max characters */
	const char *initrd;  /* path, or NULL for none */
	unsigned nr_vcpus;
	unsigned nr_disks;
};

/* Loads kernel, initrd, command line, ACPI tables and the data of the boot protocol into guest
 * memory. `image` must not be an IMAGE_GUEST. Returns 0, or a negated errno after a
 * message: ENOEXEC if kernel or initrd do not fit, ENOSPC if the ACPI tables don't, or why the
 * initrd can't be read. */
int linux_load(const struct memory *mem, const struct image *image,
	       const struct linux_config *config);

/* Is the last console of this command line, which Linux gives to its first process, a virtio
 * console? */
bool linux_uses_hvc(const char *cmdline);

#endif

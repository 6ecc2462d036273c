/* SPDX-License-Identifier: MIT */
/* The flattened device tree, by which a guest with alias_abi.h learns about its machine. */
#ifndef VMM_BOOT_DEVICE_TREE_H
#define VMM_BOOT_DEVICE_TREE_H

#include <stddef.h>
#include <stdint.h>
#include "kvm/memory.h"

struct fdt_config {
	const struct memory *mem;
	const char *bootargs;
	unsigned nr_vcpus;
	unsigned nr_disks;
	uint64_t shared_size;       /* bytes from SHARED_GPA */
	uint64_t log_gpa, log_size; /* the guest's logs; 0, 0 if there are none */
};

/* Writes the tree into `buffer` of `size` bytes. Returns the number of bytes used, or a negative
 * FDT_ERR_* of libfdt. */
int fdt_write(void *buffer, size_t size, const struct fdt_config *config);

#endif

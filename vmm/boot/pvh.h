/* SPDX-License-Identifier: MIT */
/*
 * The PVH boot protocol (Xen's public/arch-x86/hvm/start_info.h, version 1): what the guest finds
 * in memory when it is entered.
 */
#ifndef VMM_BOOT_PVH_H
#define VMM_BOOT_PVH_H

#include <stdint.h>
#include "kvm/memory.h"

#define PVH_MAGIC 0x336ec578u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

enum pvh_memory_type { PVH_RAM = 1, PVH_RESERVED = 2 };

struct pvh_memmap {
	uint64_t addr;
	uint64_t size;
	uint32_t type; /* enum pvh_memory_type */
	uint32_t reserved;
};

_Static_assert(sizeof(struct pvh_start_info) == 56, "PVH");
_Static_assert(sizeof(struct pvh_module) == 32, "PVH");
_Static_assert(sizeof(struct pvh_memmap) == 24, "PVH");

#define PVH_MAX_RANGES 9

struct pvh_config {
	const char *cmdline; /* shorter than ALIAS_CMDLINE_SIZE */
	uint64_t module_gpa, module_size;
	const char *module_name; /* up to 7 characters */
	uint64_t rsdp_gpa;       /* 0: no ACPI */
	const struct pvh_memmap *map;
	unsigned nr_map; /* up to PVH_MAX_RANGES */
};

/* Writes start_info to START_INFO_GPA, and after it the memory map, the command line and the list
 * of modules: one, or none if its size is 0. */
void pvh_write(const struct memory *mem, const struct pvh_config *config);
/* The same for an IMAGE_GUEST: the module is the device tree, of `fdt_size` bytes. The logs are the
 * last `log_size` bytes of the first slot. */
void pvh_write_guest(const struct memory *mem, const char *bootargs, uint32_t fdt_size,
		     uint64_t shared_size, uint64_t log_size);

#endif

/* SPDX-License-Identifier: MIT */
/* Reads the start_info of a PVH boot, and finds the device tree in it. */
#include "pvh.h"

#include <string.h>

#include "fdt_parse.h"
#include "panic.h"
#include "pgtable.h"
#include "platform.h"

#define PVH_MAGIC   0x336ec578u
#define PVH_RAM     1u
#define PVH_MODULES 16u
#define PVH_ENTRIES 128u

#define PC_COM1     0x3f8
#define PC_COM1_GSI 4
#define PC_IOAPIC   0xfec00000ul

struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp;
	/* since version 1 */
	uint64_t memmap;
	uint32_t memmap_entries, reserved;
};

struct pvh_module {
	uint64_t start, size, cmdline, reserved;
};

struct pvh_memmap_entry {
	uint64_t start, size;
	uint32_t type, reserved;
};

/* A pointer to `len` bytes that the boot protocol names. The boot tables map the first 4 GiB only;
 * panics if the bytes are not all there. `what` is their name in the message. */
static const void *boot_data(uint64_t gpa, uint64_t len, const char *what)
{
	if (!gpa || gpa >= BOOT_MAPPED || len > BOOT_MAPPED - gpa)
		panic("%s at %#lx, %lu bytes, is not in the first 4 GiB", what, gpa, len);
	return phys_to_virt(gpa);
}

/* Without a device tree: memory is in the memory map, and the devices are where QEMU's PC has them.
 */
static void parse_memmap(const struct pvh_start_info *info, struct platform *to)
{
	const struct pvh_memmap_entry *map;

	if (info->version < 1 || !info->memmap_entries || info->memmap_entries > PVH_ENTRIES)
		panic("start_info has neither a device tree nor a memory map");
	map = boot_data(info->memmap, info->memmap_entries * sizeof(*map), "memory map");
	for (unsigned i = 0; i < info->memmap_entries; i++)
		if (map[i].type == PVH_RAM)
			platform_add_memory(to, map[i].start, map[i].size);
	if (info->cmdline)
		platform_set_bootargs(to,
				      boot_data(info->cmdline, ALIAS_CMDLINE_SIZE, "command line"),
				      ALIAS_CMDLINE_SIZE);
	to->console_port = PC_COM1;
	to->console_gsi = PC_COM1_GSI;
	to->ioapic_gpa = PC_IOAPIC;
	to->nr_cpus = 1; /* APIC id 0; smp.c adds the CPUs of `cpus=` */
}

/* The module that holds the device tree is called "fdt". NULL if there is none. */
static const struct pvh_module *find_fdt(const struct pvh_start_info *info)
{
	const struct pvh_module *list;

	if (!info->nr_modules)
		return NULL;
	if (info->nr_modules > PVH_MODULES)
		panic("start_info lists %u modules", info->nr_modules);
	list = boot_data(info->modlist, info->nr_modules * sizeof(*list), "module list");
	for (unsigned i = 0; i < info->nr_modules; i++)
		if (list[i].cmdline &&
		    !strncmp(boot_data(list[i].cmdline, 4, "module name"), "fdt", 4))
			return &list[i];
	return NULL;
}

void pvh_parse(uint64_t start_info_gpa, struct platform *to)
{
	const struct pvh_start_info *info;
	const struct pvh_module *fdt;

	info = boot_data(start_info_gpa, sizeof(*info), "start_info");
	if (info->magic != PVH_MAGIC)
		panic("not started by PVH: no start_info at %#lx", start_info_gpa);
	fdt = find_fdt(info);
	to->has_fdt = fdt;
	if (fdt)
		fdt_parse(boot_data(fdt->start, fdt->size, "device tree"), fdt->size, to);
	else
		parse_memmap(info, to);
}

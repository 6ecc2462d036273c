/* SPDX-License-Identifier: MIT */
#include "boot/pvh.h"

#include <string.h>
#include "alias_abi.h"
#include "machine_map.h"

/* The data of the protocol, in the two pages at START_INFO_GPA. */
struct boot_pages {
	struct pvh_start_info info;
	struct pvh_module module;
	struct pvh_memmap map[PVH_MAX_RANGES];
	char module_name[8];
	char cmdline[ALIAS_CMDLINE_SIZE];
};
_Static_assert(sizeof(struct boot_pages) <= START_INFO_SIZE, "start_info page");

void pvh_write(const struct memory *mem, const struct pvh_config *config)
{
	struct boot_pages *boot = memory_ptr(mem, START_INFO_GPA, sizeof(*boot));

	boot->info = (struct pvh_start_info){
		.magic = PVH_MAGIC,
		.version = 1,
		.nr_modules = config->module_size > 0,
		.modlist_paddr = START_INFO_GPA + offsetof(struct boot_pages, module),
		.cmdline_paddr = START_INFO_GPA + offsetof(struct boot_pages, cmdline),
		.rsdp_paddr = config->rsdp_gpa,
		.memmap_paddr = START_INFO_GPA + offsetof(struct boot_pages, map),
		.memmap_entries = config->nr_map,
	};
	boot->module = (struct pvh_module){
		.paddr = config->module_gpa,
		.size = config->module_size,
		.cmdline_paddr = START_INFO_GPA + offsetof(struct boot_pages, module_name),
	};
	strcpy(boot->module_name, config->module_name);
	strcpy(boot->cmdline, config->cmdline);
	memcpy(boot->map, config->map, config->nr_map * sizeof(config->map[0]));
}

/* For an IMAGE_GUEST. */
struct guest_map {
	unsigned nr;
	struct pvh_memmap range[PVH_MAX_RANGES];
};

static void add_range(struct guest_map *map, uint64_t from, uint64_t to, uint32_t type)
{
	map->range[map->nr++] = (struct pvh_memmap){.addr = from, .size = to - from, .type = type};
}

static struct guest_map guest_map(const struct memory *mem, uint64_t shared_size, uint64_t log_size)
{
	uint64_t log = mem->slot[0].size - log_size;
	struct guest_map map = {0};

	add_range(&map, 0, START_INFO_GPA, PVH_RAM);
	add_range(&map, START_INFO_GPA, START_INFO_GPA + START_INFO_SIZE, PVH_RESERVED);
	add_range(&map, START_INFO_GPA + START_INFO_SIZE, FDT_GPA, PVH_RAM);
	add_range(&map, FDT_GPA, FDT_GPA + FDT_MAX_SIZE, PVH_RESERVED);
	add_range(&map, FDT_GPA + FDT_MAX_SIZE, SHARED_GPA, PVH_RAM);
	add_range(&map, SHARED_GPA, SHARED_GPA + shared_size, PVH_RESERVED);
	add_range(&map, SHARED_GPA + shared_size, log, PVH_RAM);
	if (log_size)
		add_range(&map, log, mem->slot[0].size, PVH_RESERVED);
	if (mem->nr > 1)
		add_range(&map, mem->slot[1].gpa, mem->slot[1].gpa + mem->slot[1].size, PVH_RAM);
	return map;
}

void pvh_write_guest(const struct memory *mem, const char *bootargs, uint32_t fdt_size,
		     uint64_t shared_size, uint64_t log_size)
{
	const struct guest_map map = guest_map(mem, shared_size, log_size);
	const struct pvh_config config = {
		.cmdline = bootargs,
		.module_gpa = FDT_GPA,
		.module_size = fdt_size,
		.module_name = "fdt",
		.map = map.range,
		.nr_map = map.nr,
	};

	pvh_write(mem, &config);
}

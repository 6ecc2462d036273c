/* SPDX-License-Identifier: MIT */
#include "boot/pvh.h"

#include <string.h>
#include "alias_abi.h"
#include "machine.h"

#define MAX_RANGES 9

/* All of it, in the two pages at START_INFO_GPA. */
struct boot_pages {
	struct pvh_start_info info;
	struct pvh_module module;
	struct pvh_memmap map[MAX_RANGES];
	char module_name[8];
	char cmdline[ALIAS_CMDLINE_SIZE];
};
_Static_assert(sizeof(struct boot_pages) <= START_INFO_SIZE, "start_info page");

static void add_range(struct boot_pages *boot, uint64_t from, uint64_t to, uint32_t type)
{
	boot->map[boot->info.memmap_entries++] =
		(struct pvh_memmap){.addr = from, .size = to - from, .type = type};
}

static void write_memmap(struct boot_pages *boot, const struct memory *mem, uint64_t shared_size,
			 uint64_t log_size)
{
	uint64_t log = mem->slot[0].size - log_size;

	add_range(boot, 0, START_INFO_GPA, PVH_RAM);
	add_range(boot, START_INFO_GPA, START_INFO_GPA + START_INFO_SIZE, PVH_RESERVED);
	add_range(boot, START_INFO_GPA + START_INFO_SIZE, FDT_GPA, PVH_RAM);
	add_range(boot, FDT_GPA, FDT_GPA + FDT_MAX_SIZE, PVH_RESERVED);
	add_range(boot, FDT_GPA + FDT_MAX_SIZE, SHARED_GPA, PVH_RAM);
	add_range(boot, SHARED_GPA, SHARED_GPA + shared_size, PVH_RESERVED);
	add_range(boot, SHARED_GPA + shared_size, log, PVH_RAM);
	if (log_size)
		add_range(boot, log, mem->slot[0].size, PVH_RESERVED);
	if (mem->nr > 1)
		add_range(boot, mem->slot[1].gpa, mem->slot[1].gpa + mem->slot[1].size, PVH_RAM);
}

void pvh_write(const struct memory *mem, const char *bootargs, uint32_t fdt_size,
	       uint64_t shared_size, uint64_t log_size)
{
	struct boot_pages *boot = memory_ptr(mem, START_INFO_GPA, sizeof(*boot));

	boot->info = (struct pvh_start_info){
		.magic = PVH_MAGIC,
		.version = 1,
		.nr_modules = 1,
		.modlist_paddr = START_INFO_GPA + offsetof(struct boot_pages, module),
		.cmdline_paddr = START_INFO_GPA + offsetof(struct boot_pages, cmdline),
		.memmap_paddr = START_INFO_GPA + offsetof(struct boot_pages, map),
	};
	boot->module = (struct pvh_module){
		.paddr = FDT_GPA,
		.size = fdt_size,
		.cmdline_paddr = START_INFO_GPA + offsetof(struct boot_pages, module_name),
	};
	strcpy(boot->module_name, "fdt");
	strcpy(boot->cmdline, bootargs);
	write_memmap(boot, mem, shared_size, log_size);
}

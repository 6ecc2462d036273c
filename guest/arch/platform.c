/* SPDX-License-Identifier: MIT */
/* What the PVH start_info says, and the customs of a PC for what it doesn't. */
#include "platform.h"

#include <string.h>

#include "apic.h"
#include "console.h"
#include "panic.h"
#include "pgtable.h"

#define PVH_MAGIC   0x336ec578u
#define PVH_RAM     1u
#define PVH_MODULES 16u
#define PVH_ENTRIES 128u

#define PC_COM1     0x3f8
#define PC_COM1_GSI 4
#define PC_IOAPIC   0xfec00000ul
#define PC_LOW_END  0x100000ul

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

struct platform platform;

/* `len` bytes that the boot protocol points to; the boot tables map the first 4 GiB only. */
static const void *boot_data(uint64_t gpa, uint64_t len, const char *what)
{
	if (!gpa || gpa >= BOOT_MAPPED || len > BOOT_MAPPED - gpa)
		panic("%s at %#lx, %lu bytes, is not in the first 4 GiB", what, gpa, len);
	return phys_to_virt(gpa);
}

static void insert_range(struct phys_range *ranges, unsigned *nr, struct phys_range r)
{
	unsigned at = 0;

	while (at < *nr && ranges[at].end < r.start)
		at++;
	while (at < *nr && ranges[at].start <= r.end) { /* overlaps or touches: merge */
		r.start = r.start < ranges[at].start ? r.start : ranges[at].start;
		r.end = r.end > ranges[at].end ? r.end : ranges[at].end;
		memmove(&ranges[at], &ranges[at + 1], (--*nr - at) * sizeof(r));
	}
	if (*nr == PLATFORM_RANGES)
		panic("the memory map has more than %u ranges", PLATFORM_RANGES);
	memmove(&ranges[at + 1], &ranges[at], ((*nr)++ - at) * sizeof(r));
	ranges[at] = r;
}

static uint64_t range_end(uint64_t start, uint64_t size)
{
	uint64_t end;

	if (__builtin_add_overflow(start, size, &end) || end > PTE_ADDR)
		panic("memory range %#lx + %#lx does not fit into the address space", start, size);
	return end;
}

void platform_add_memory(uint64_t start, uint64_t size)
{
	struct phys_range r = {(start + PAGE_SIZE - 1) & -PAGE_SIZE,
			       range_end(start, size) & -PAGE_SIZE};

	if (r.start < r.end)
		insert_range(platform.memory, &platform.nr_memory, r);
}

void platform_add_reserved(uint64_t start, uint64_t size)
{
	struct phys_range r = {start & -PAGE_SIZE,
			       (range_end(start, size) + PAGE_SIZE - 1) & -PAGE_SIZE};

	if (r.start < r.end)
		insert_range(platform.reserved, &platform.nr_reserved, r);
}

void platform_set_bootargs(const char *words, uint64_t max_len)
{
	uint64_t len = strnlen(words, max_len);

	if (len >= sizeof(platform.bootargs))
		panic("boot arguments longer than %zu bytes", sizeof(platform.bootargs) - 1);
	memcpy(platform.bootargs, words, len);
	platform.bootargs[len] = '\0';
}

/* A PC as QEMU starts it, without a device tree. */
static void platform_from_start_info(const struct pvh_start_info *info)
{
	const struct pvh_memmap_entry *map;

	if (info->version < 1 || !info->memmap_entries || info->memmap_entries > PVH_ENTRIES)
		panic("start_info has neither a device tree nor a memory map");
	map = boot_data(info->memmap, info->memmap_entries * sizeof(*map), "memory map");
	for (unsigned i = 0; i < info->memmap_entries; i++)
		if (map[i].type == PVH_RAM)
			platform_add_memory(map[i].start, map[i].size);
	if (info->cmdline)
		platform_set_bootargs(boot_data(info->cmdline, ALIAS_CMDLINE_SIZE, "command line"),
				      ALIAS_CMDLINE_SIZE);
	platform.console_port = PC_COM1;
	platform.console_gsi = PC_COM1_GSI;
	platform.ioapic_gpa = PC_IOAPIC;
	platform.nr_cpus = 1; /* its APIC id is 0; smp.c adds those of `cpus=` */
}

/* The device tree's module is the one called "fdt". */
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

void platform_init(uint64_t start_info_gpa)
{
	const struct pvh_start_info *info;
	const struct pvh_module *fdt;

	info = boot_data(start_info_gpa, sizeof(*info), "start_info");
	if (info->magic != PVH_MAGIC)
		panic("not started by PVH: no start_info at %#lx", start_info_gpa);
	fdt = find_fdt(info);
	platform.has_fdt = fdt;
	if (fdt)
		platform_from_fdt(boot_data(fdt->start, fdt->size, "device tree"), fdt->size);
	else
		platform_from_start_info(info);
	if (!platform.nr_memory)
		panic("the machine has no memory");
	/* Low memory is the boot protocol's, the trampoline's and the shared pages'. */
	platform_add_reserved(0, PC_LOW_END);
	console_set_port(platform.console_port);
}

/* SPDX-License-Identifier: MIT */
#include "boot/linux.h"

#include <errno.h>
#include <string.h>
#include "boot/acpi.h"
#include "boot/bzimage.h"
#include "boot/initrd.h"
#include "boot/pvh.h"
#include "machine_map.h"
#include "options.h"
#include "pte.h"
#include "say.h"

_Static_assert(OPTIONS_MAX_DISKS < ACPI_MAX_VIRTIO, "disks and a console");
_Static_assert(VIRTIO_GSI + OPTIONS_MAX_DISKS <= VIRTIO_CONSOLE_GSI, "each has a pin of its own");

#define CMDLINE_GPA      0x20000ull
#define BASE_MEMORY_END  0x9fc00ull
#define ACPI_GPA         0xe0000u /* where Linux looks for the RSDP if it is not told */
#define ACPI_MAX_SIZE    0xff00u
#define BIOS_RESET_GPA   0xffff0ull
#define FIRST_MIB        (1ull << 20)
#define LOADER_UNDEFINED 0xff /* type_of_loader for loaders without a number of their own */

#define PAGE       4096ull
#define ENTRIES    512u
#define LARGE_PAGE (2ull << 20)
#define NR_L2      4u /* GiB */

/* The memory map for both protocols; the types have the same numbers in both. */
struct map {
	unsigned nr;
	struct pvh_memmap range[4];
};

static void add_range(struct map *map, uint64_t from, uint64_t to, uint32_t type)
{
	map->range[map->nr++] = (struct pvh_memmap){.addr = from, .size = to - from, .type = type};
}

static struct map memory_map(const struct memory *mem)
{
	struct map map = {0};

	add_range(&map, 0, BASE_MEMORY_END, PVH_RAM);
	add_range(&map, ACPI_GPA, FIRST_MIB, PVH_RESERVED);
	add_range(&map, FIRST_MIB, mem->slot[0].size, PVH_RAM);
	if (mem->nr > 1)
		add_range(&map, mem->slot[1].gpa, mem->slot[1].gpa + mem->slot[1].size, PVH_RAM);
	return map;
}

static void add_virtio(struct acpi_config *acpi, uint64_t gpa, uint32_t gsi)
{
	unsigned i = acpi->nr_virtio++;

	acpi->virtio[i].gpa = (uint32_t)gpa;
	acpi->virtio[i].size = VIRTIO_STRIDE;
	acpi->virtio[i].gsi = gsi;
}

static int write_acpi(const struct memory *mem, const struct linux_config *config)
{
	struct acpi_config acpi = {
		.nr_vcpus = config->nr_vcpus,
		.ioapic_gpa = IOAPIC_GPA,
		.sleep_control = ACPI_PM_PORT + ACPI_PM_SLEEP_CONTROL,
		.sleep_status = ACPI_PM_PORT + ACPI_PM_SLEEP_STATUS,
		.reset = ACPI_PM_PORT + ACPI_PM_RESET,
		.reset_value = ACPI_PM_RESET_VALUE,
		.panic_port = PVPANIC_PORT,
		.uart = {.port = UART_PORT, .nr_ports = UART_NR_PORTS, .gsi = UART_GSI},
	};

	add_virtio(&acpi, VIRTIO_CONSOLE_GPA, VIRTIO_CONSOLE_GSI);
	for (unsigned i = 0; i < config->nr_disks; i++)
		add_virtio(&acpi, VIRTIO_GPA + i * VIRTIO_STRIDE, VIRTIO_GSI + i);
	if (acpi_write(memory_ptr(mem, ACPI_GPA, ACPI_MAX_SIZE), ACPI_MAX_SIZE, ACPI_GPA, &acpi))
		return 0;
	say("the ACPI tables do not fit into %u KiB", ACPI_MAX_SIZE >> 10);
	return -ENOSPC;
}

/* Code at the address that a reset of a BIOS jumps to: mov al, VALUE; mov dx, PORT; out dx, al;
 * hlt. */
static void write_bios_reset(const struct memory *mem)
{
	const uint16_t port = ACPI_PM_PORT + ACPI_PM_RESET;
	const uint8_t code[] = {
		0xb0, ACPI_PM_RESET_VALUE, 0xba, (uint8_t)port, (uint8_t)(port >> 8), 0xee, 0xf4};

	memcpy(memory_ptr(mem, BIOS_RESET_GPA, sizeof(code)), code, sizeof(code));
}

static void write_page_tables(const struct memory *mem)
{
	uint64_t gpa = LINUX_PAGE_TABLES_GPA;
	uint64_t *table = memory_ptr(mem, gpa, (2 + NR_L2) * PAGE);

	table[0] = (gpa + PAGE) | PTE_P | PTE_RW;
	for (uint64_t i = 0; i < NR_L2; i++)
		table[ENTRIES + i] = (gpa + (2 + i) * PAGE) | PTE_P | PTE_RW;
	for (uint64_t i = 0; i < NR_L2 * ENTRIES; i++)
		table[2 * ENTRIES + i] = i * LARGE_PAGE | PTE_P | PTE_RW | PTE_PS;
}

/* Selectors 0x10 and 0x18, as the protocol has them. */
static void write_gdt(const struct memory *mem)
{
	static const uint64_t gdt[] = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};

	_Static_assert(sizeof(gdt) == LINUX_GDT_LIMIT + 1, "");
	memcpy(memory_ptr(mem, LINUX_GDT_GPA, sizeof(gdt)), gdt, sizeof(gdt));
}

static void write_boot_params(const struct memory *mem, const struct image *image,
			      const struct map *map, const struct initrd *initrd)
{
	struct boot_params *params = memory_ptr(mem, LINUX_BOOT_PARAMS_GPA, sizeof(*params));

	*params = (struct boot_params){.acpi_rsdp_addr = ACPI_GPA};
	bzimage_header(image, &params->hdr);
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.cmd_line_ptr = (uint32_t)CMDLINE_GPA;
	params->hdr.ramdisk_image = (uint32_t)initrd->gpa;
	params->hdr.ramdisk_size = (uint32_t)initrd->size;
	params->e820_entries = (uint8_t)map->nr;
	for (unsigned i = 0; i < map->nr; i++)
		params->e820_table[i] = (struct boot_e820_entry){.addr = map->range[i].addr,
								 .size = map->range[i].size,
								 .type = map->range[i].type};
}

static void write_bzimage(const struct memory *mem, const struct image *image, const char *cmdline,
			  const struct map *map, const struct initrd *initrd)
{
	size_t len = strlen(cmdline) + 1;

	write_page_tables(mem);
	write_gdt(mem);
	write_boot_params(mem, image, map, initrd);
	memcpy(memory_ptr(mem, CMDLINE_GPA, len), cmdline, len);
}

static void write_pvh(const struct memory *mem, const char *cmdline, const struct map *map,
		      const struct initrd *initrd)
{
	const struct pvh_config pvh = {
		.cmdline = cmdline,
		.module_gpa = initrd->gpa,
		.module_size = initrd->size,
		.module_name = "initrd",
		.rsdp_gpa = ACPI_GPA,
		.map = map->range,
		.nr_map = map->nr,
	};

	pvh_write(mem, &pvh);
}

int linux_load(const struct memory *mem, const struct image *image,
	       const struct linux_config *config)
{
	const struct map map = memory_map(mem);
	struct initrd initrd = {0};
	int err = image_load(image, mem);

	if (!err && config->initrd)
		err = initrd_load(&initrd, mem, image, config->initrd);
	if (!err)
		err = write_acpi(mem, config);
	if (err)
		return err;
	write_bios_reset(mem);
	if (image->kind == IMAGE_BZIMAGE)
		write_bzimage(mem, image, config->cmdline, &map, &initrd);
	else
		write_pvh(mem, config->cmdline, &map, &initrd);
	return 0;
}

/* Words are separated by blanks outside of double quotes, as in the kernel. */
bool linux_uses_hvc(const char *cmdline)
{
	static const char console[] = "console=";
	bool hvc = false, quoted = false, begins = true;

	for (const char *at = cmdline; *at; at++) {
		if (begins && !strncmp(at, console, sizeof(console) - 1))
			hvc = !strncmp(at + sizeof(console) - 1, "hvc", 3);
		if (*at == '"')
			quoted = !quoted;
		begins = *at == ' ' && !quoted;
	}
	return hvc;
}

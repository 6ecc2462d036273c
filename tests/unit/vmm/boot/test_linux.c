/* SPDX-License-Identifier: MIT */
/* A Linux kernel: its boot header, spoilt in every way, and what it finds in memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "boot/bzimage.h"
#include "boot/linux.h"
#include "boot/pvh.h"
#include "machine_map.h"
#include "suites.h"

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SECTOR       512
#define SETUP_SECTS  2
#define SETUP_SIZE   ((1 + SETUP_SECTS) * SECTOR)
#define KERNEL_SIZE  4096
#define FILE_SIZE    (SETUP_SIZE + KERNEL_SIZE)
#define KERNEL_GPA   0x1000000ull
#define INIT_SIZE    0x100000
#define GIB          (1ull << 30)
#define MIB          (1ull << 20)

struct bzimage {
	uint8_t before[offsetof(struct boot_params, hdr)];
	struct setup_header header;
	uint8_t setup[SETUP_SIZE - offsetof(struct boot_params, hdr) - sizeof(struct setup_header)];
	uint8_t kernel[KERNEL_SIZE];
} __attribute__((packed));
_Static_assert(sizeof(struct bzimage) == FILE_SIZE, "");

static struct bzimage valid(void)
{
	struct bzimage image = {
		.header =
			{
				.setup_sects = SETUP_SECTS,
				.syssize = KERNEL_SIZE / 16,
				.boot_flag = 0xaa55,
				.jump = 0x6aeb, /* over all of the header */
				.header = 0x53726448,
				.version = 0x20f,
				.loadflags = LOADED_HIGH,
				.initrd_addr_max = 0x7fffffff,
				.kernel_alignment = 0x200000,
				.relocatable_kernel = 1,
				.xloadflags = XLF_KERNEL_64,
				.cmdline_size = 2047,
				.payload_offset = 1024,
				.payload_length = 3072,
				.pref_address = KERNEL_GPA,
				.init_size = INIT_SIZE,
			},
	};

	memset(image.kernel, 0xc0, sizeof(image.kernel));
	memcpy(image.kernel + 1024, "\x28\xb5", 2);
	memset(image.before, 0xbe, sizeof(image.before));
	return image;
}

/* On a copy of exactly that size, so that a byte too far is seen; it stays for the image. */
static const char *parse(struct image *image, const void *bytes, size_t size)
{
	memset(image, 0, sizeof(*image));
	image->file = malloc(size ? size : 1);
	image->size = size;
	memcpy(image->file, bytes, size);
	return image_parse(image);
}

START_TEST(a_good_bzimage)
{
	struct bzimage file = valid();
	struct image image;

	ck_assert_ptr_null(parse(&image, &file, sizeof(file)));
	ck_assert_int_eq(image.kind, IMAGE_BZIMAGE);
	ck_assert_uint_eq(image.entry, KERNEL_GPA + 0x200);
	ck_assert_uint_eq(image.cmdline_max, 2047);
	ck_assert_uint_eq(image.initrd_max, 0x7fffffff);
	ck_assert_uint_eq(image.nr, 1);
	ck_assert_uint_eq(image.segment[0].gpa, KERNEL_GPA);
	ck_assert_uint_eq(image.segment[0].offset, SETUP_SIZE);
	ck_assert_uint_eq(image.segment[0].filesz, KERNEL_SIZE);
	ck_assert_uint_eq(image.segment[0].memsz, INIT_SIZE);
	free(image.file);
}
END_TEST

START_TEST(a_signature_may_follow)
{
	uint8_t bytes[FILE_SIZE + 1472] = {0};
	struct bzimage file = valid();
	struct image image;

	memcpy(bytes, &file, sizeof(file));
	ck_assert_ptr_null(parse(&image, bytes, sizeof(bytes)));
	ck_assert_uint_eq(image.segment[0].filesz, KERNEL_SIZE);
	free(image.file);
}
END_TEST

START_TEST(cut_anywhere)
{
	struct bzimage file = valid();
	struct image image;

	for (size_t size = 0; size < sizeof(file); size++) {
		ck_assert_msg(parse(&image, &file, size) != NULL, "accepted at %zu bytes", size);
		free(image.file);
	}
}
END_TEST

#define FIELD(field)                                                                               \
	offsetof(struct bzimage, header.field), sizeof(((struct setup_header *)0)->field)

static const struct {
	const char *what;
	size_t offset, len;
	uint64_t value;
	const char *says;
} spoils[] = {
	{"boot flag", FIELD(boot_flag), 0, "nor a Linux bzImage"},
	{"magic", FIELD(header), 0, "nor a Linux bzImage"},
	{"no jump", FIELD(jump), 0x6a00, "cut off within its boot header"},
	{"a short jump", FIELD(jump), 0x10eb, "header is too short"},
	{"a jump to before the end", FIELD(jump), 0x50eb, "header is too short"},
	{"an old protocol", FIELD(version), 0x20b, "before 2.12"},
	{"a zImage", FIELD(loadflags), 0, "zImage"},
	{"32 bits", FIELD(xloadflags), XLF_CAN_BE_LOADED_ABOVE_4G, "32-bit"},
	{"setup larger than the file", FIELD(setup_sects), 255, "cut off"},
	{"setup without its kernel", FIELD(setup_sects), 10, "cut off"},
	{"four sectors by default", FIELD(setup_sects), 0, "cut off"},
	{"kernel behind the file", FIELD(syssize), KERNEL_SIZE / 16 + 1, "cut off"},
	{"kernel wraps", FIELD(syssize), UINT32_MAX, "cut off"},
	{"no kernel", FIELD(syssize), 0, "payload"},
	{"payload offset", FIELD(payload_offset), KERNEL_SIZE + 1, "payload"},
	{"payload length", FIELD(payload_length), 3073, "payload"},
	{"payload elsewhere", FIELD(payload_offset), 1023, "not where"},
	{"no payload", FIELD(payload_length), 0, "not where"},
	{"half a payload's mark", FIELD(payload_length), 1, "not where"},
	{"fewer sectors than there are", FIELD(setup_sects), SETUP_SECTS - 1, "not where"},
	{"not aligned", FIELD(kernel_alignment), 0, "kernel_alignment"},
	{"aligned to no power of two", FIELD(kernel_alignment), UINT32_MAX, "kernel_alignment"},
	{"aligned to 2 GiB", FIELD(kernel_alignment), 0x80000000, "kernel_alignment"},
	{"payload wraps", FIELD(payload_length), UINT32_MAX, "payload"},
	{"init_size 0", FIELD(init_size), 0, "init_size"},
	{"init_size below the file's", FIELD(init_size), KERNEL_SIZE - 1, "init_size"},
	{"place 0", FIELD(pref_address), 0, "pref_address"},
	{"place below 1 MiB", FIELD(pref_address), 0xff000, "pref_address"},
	{"place at 4 GiB", FIELD(pref_address), 1ull << 32, "pref_address"},
	{"place that crosses 4 GiB", FIELD(pref_address), (1ull << 32) - 4096, "pref_address"},
	{"place that wraps", FIELD(pref_address), UINT64_MAX, "pref_address"},
};

START_TEST(spoilt)
{
	struct bzimage file = valid();
	struct image image;
	const char *wrong;

	memcpy((char *)&file + spoils[_i].offset, &spoils[_i].value, spoils[_i].len);
	wrong = parse(&image, &file, sizeof(file));
	ck_assert_msg(wrong != NULL, "accepted with %s", spoils[_i].what);
	ck_assert_msg(strstr(wrong, spoils[_i].says) != NULL, "%s: %s", spoils[_i].what, wrong);
	free(image.file);
}
END_TEST

/* --- in memory -------------------------------------------------------------------------------- */

static const void *at(const struct memory *mem, uint64_t gpa, uint64_t size)
{
	const void *p = memory_ptr(mem, gpa, size);

	ck_assert_ptr_nonnull(p);
	return p;
}

static int load(const struct memory *mem, const char *initrd, enum image_kind kind)
{
	const struct linux_config config = {
		.cmdline = "console=x cmd=y", .initrd = initrd, .nr_vcpus = 2, .nr_disks = 1};
	struct bzimage file = valid();
	struct image image;
	int status;

	ck_assert_ptr_null(parse(&image, &file, sizeof(file)));
	image.kind = kind; /* segments are the same */
	status = linux_load(mem, &image, &config);
	free(image.file);
	return status;
}

START_TEST(what_a_bzimage_finds)
{
	const struct boot_params *params;
	const uint64_t *tables;
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 64 * MIB), 0);
	ck_assert_int_eq(load(&mem, NULL, IMAGE_BZIMAGE), 0);
	params = at(&mem, LINUX_BOOT_PARAMS_GPA, sizeof(*params));
	ck_assert_uint_eq(params->hdr.header, 0x53726448);
	ck_assert_uint_eq(params->hdr.init_size, INIT_SIZE);
	ck_assert_uint_eq(params->hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(params->hdr.ramdisk_size, 0);
	ck_assert_uint_eq(params->sentinel, 0); /* not what the file has before its header */
	ck_assert_str_eq(at(&mem, params->hdr.cmd_line_ptr, 16), "console=x cmd=y");
	ck_assert_mem_eq(at(&mem, params->acpi_rsdp_addr, 8), "RSD PTR ", 8);
	ck_assert_uint_eq(*(const uint8_t *)at(&mem, KERNEL_GPA, 1), 0xc0);
	/* Page tables: the kernel and the last page of 4 GiB, one to one. */
	tables = at(&mem, LINUX_PAGE_TABLES_GPA, 6 * 4096);
	ck_assert_uint_eq(tables[0], LINUX_PAGE_TABLES_GPA + 0x1003);
	ck_assert_uint_eq(tables[512 + 3], LINUX_PAGE_TABLES_GPA + 0x5003);
	ck_assert_uint_eq(tables[1024 + KERNEL_GPA / (2 * MIB)], KERNEL_GPA | 0x83);
	ck_assert_uint_eq(tables[6 * 512 - 1], (4 * GIB - 2 * MIB) | 0x83);
	memory_free(&mem);
}
END_TEST

START_TEST(what_a_vmlinux_finds)
{
	const struct pvh_start_info *info;
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 64 * MIB), 0);
	ck_assert_int_eq(load(&mem, NULL, IMAGE_PVH), 0);
	info = at(&mem, START_INFO_GPA, sizeof(*info));
	ck_assert_uint_eq(info->magic, 0x336ec578);
	ck_assert_uint_eq(info->nr_modules, 0);
	ck_assert_str_eq(at(&mem, info->cmdline_paddr, 16), "console=x cmd=y");
	ck_assert_mem_eq(at(&mem, info->rsdp_paddr, 8), "RSD PTR ", 8);
	memory_free(&mem);
}
END_TEST

/* All memory but the hole below 1 MiB and that below 4 GiB, in order, and ACPI is none of it. */
START_TEST(memory_map)
{
	static const uint64_t sizes[] = {64 * MIB, 3 * GIB, 8 * GIB};
	const struct boot_params *params;
	uint64_t ram = 0, next = 0;
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, sizes[_i]), 0);
	ck_assert_int_eq(load(&mem, NULL, IMAGE_BZIMAGE), 0);
	params = at(&mem, LINUX_BOOT_PARAMS_GPA, sizeof(*params));
	for (unsigned i = 0; i < params->e820_entries; i++) {
		const struct boot_e820_entry *e = &params->e820_table[i];

		ck_assert_uint_ge(e->addr, next);
		next = e->addr + e->size;
		if (e->type != PVH_RAM)
			continue;
		ram += e->size;
		at(&mem, e->addr, e->size);
		ck_assert(params->acpi_rsdp_addr < e->addr || params->acpi_rsdp_addr >= next);
	}
	ck_assert_uint_eq(ram, sizes[_i] - (MIB - 0x9fc00));
	ck_assert_uint_eq(next, memory_end_pfn(&mem) * 4096);
	memory_free(&mem);
}
END_TEST

static const char *initrd_file(uint64_t size)
{
	static char path[64];
	int fd;

	strcpy(path, "/tmp/unit-vmm-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	if (size > 0)
		ck_assert_int_eq(pwrite(fd, "initrd", 6, 0), 6);
	close(fd);
	return path;
}

START_TEST(an_initrd_lies_high)
{
	const char *path = initrd_file(5000);
	const struct boot_params *params;
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 3 * GIB), 0);
	ck_assert_int_eq(load(&mem, path, IMAGE_BZIMAGE), 0);
	params = at(&mem, LINUX_BOOT_PARAMS_GPA, sizeof(*params));
	ck_assert_uint_eq(params->hdr.ramdisk_size, 5000);
	ck_assert_uint_eq(params->hdr.ramdisk_image, 2 * GIB - 8192); /* by initrd_addr_max */
	ck_assert_mem_eq(at(&mem, params->hdr.ramdisk_image, 6), "initrd", 6);
	memory_free(&mem);
	ck_assert_int_eq(memory_init(&mem, 64 * MIB), 0);
	ck_assert_int_eq(load(&mem, path, IMAGE_PVH), 0);
	ck_assert_mem_eq(at(&mem, 64 * MIB - 8192, 6), "initrd", 6);
	memory_free(&mem);
	unlink(path);
}
END_TEST

static const struct {
	int64_t size; /* -1: a folder, -2: nothing there */
	int status;
} bad_initrds[] = {
	{0, -ENOEXEC},
	{64 * MIB, -ENOEXEC},
	{64 * MIB - KERNEL_GPA - INIT_SIZE + 1, -ENOEXEC},
	{1ll << 40, -ENOEXEC},
	{-1, -ENOEXEC},
	{-2, -ENOENT},
	{64 * MIB - KERNEL_GPA - INIT_SIZE, 0},
};

START_TEST(initrds_that_do_not_do)
{
	int64_t size = bad_initrds[_i].size;
	const char *path = size >= 0    ? initrd_file((uint64_t)size)
			   : size == -1 ? "/tmp"
					: "/nowhere";
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 64 * MIB), 0);
	ck_assert_int_eq(load(&mem, path, IMAGE_BZIMAGE), bad_initrds[_i].status);
	memory_free(&mem);
	if (size >= 0)
		unlink(path);
}
END_TEST

START_TEST(too_little_memory)
{
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, KERNEL_GPA + INIT_SIZE - 4096), 0);
	ck_assert_int_eq(load(&mem, NULL, IMAGE_BZIMAGE), -ENOEXEC);
	memory_free(&mem);
}
END_TEST

static const struct {
	const char *cmdline;
	bool hvc;
} consoles[] = {
	{"console=hvc0 panic=-1", true},
	{"console=hvc0 console=ttyS0", false},
	{"console=ttyS0,115200 console=hvc0", true},
	{"", false},
	{"console=hvc0 cmd=\"a console=ttyS0 b\"", true},
	{"noconsole=hvc0", false},
	{"x=\"a\" console=hvc1", true},
};

START_TEST(the_console_named_last)
{
	ck_assert_int_eq(linux_uses_hvc(consoles[_i].cmdline), consoles[_i].hvc);
}
END_TEST

TCase *linux_tests(void)
{
	TCase *tc = tcase_create("linux");

	tcase_add_test(tc, a_good_bzimage);
	tcase_add_test(tc, a_signature_may_follow);
	tcase_add_test(tc, cut_anywhere);
	tcase_add_loop_test(tc, spoilt, 0, NR_OF(spoils));
	tcase_add_test(tc, what_a_bzimage_finds);
	tcase_add_test(tc, what_a_vmlinux_finds);
	tcase_add_loop_test(tc, memory_map, 0, 3);
	tcase_add_test(tc, an_initrd_lies_high);
	tcase_add_loop_test(tc, initrds_that_do_not_do, 0, NR_OF(bad_initrds));
	tcase_add_test(tc, too_little_memory);
	tcase_add_loop_test(tc, the_console_named_last, 0, NR_OF(consoles));
	return tc;
}

/* SPDX-License-Identifier: MIT */
/* What the guest finds in memory: the device tree and the PVH pages. */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "boot/device_tree.h"
#include "machine.h"
#include "boot/pvh.h"
#include "suites.h"
#include "machine_map.h"

#define GIB 1073741824ull

static uint8_t tree[FDT_MAX_SIZE];

static void write_tree(const struct memory *mem, unsigned cpus, unsigned disks)
{
	struct fdt_config config = {
		.mem = mem,
		.bootargs = "flush=trap workload=demo",
		.nr_vcpus = cpus,
		.nr_disks = disks,
		.shared_size = (1 + cpus) * 4096,
	};
	int size = fdt_write(tree, sizeof(tree), &config);

	ck_assert_int_gt(size, 0);
	ck_assert_int_eq(fdt_check_full(tree, size), 0);
}

static int node(const char *path)
{
	int offset = fdt_path_offset(tree, path);

	ck_assert_msg(offset >= 0, "no node %s", path);
	return offset;
}

static const void *property(const char *path, const char *name, int size)
{
	int len;
	const void *value = fdt_getprop(tree, node(path), name, &len);

	ck_assert_msg(value != NULL, "no %s in %s", name, path);
	ck_assert_int_eq(len, size);
	return value;
}

static uint32_t u32(const char *path, const char *name)
{
	return fdt32_ld(property(path, name, 4));
}

static void expect_reg(const char *path, uint64_t base, uint64_t size)
{
	const fdt64_t *reg = property(path, "reg", 16);

	ck_assert_uint_eq(fdt64_ld(reg), base);
	ck_assert_uint_eq(fdt64_ld(reg + 1), size);
}

static void expect_string(const char *path, const char *name, const char *value)
{
	ck_assert_str_eq(property(path, name, (int)strlen(value) + 1), value);
}

START_TEST(hypervisor_and_chosen)
{
	struct memory mem = {.nr = 1, .slot = {{.gpa = 0, .size = 64 << 20}}};

	write_tree(&mem, 4, 0);
	expect_string("/hypervisor", "compatible", ALIAS_COMPATIBLE);
	ck_assert_uint_eq(u32("/hypervisor", "abi-version"), ALIAS_ABI_VERSION);
	ck_assert_uint_eq(u32("/hypervisor", "hypercall-port"), HYPERCALL_PORT);
	ck_assert_uint_eq(u32("/hypervisor", "poweroff-port"), POWEROFF_PORT);
	ck_assert_uint_eq(u32("/hypervisor", "upcall-vector"), UPCALL_VECTOR);
	expect_reg("/hypervisor", SHARED_GPA, 5 * 4096);
	expect_string("/chosen", "bootargs", "flush=trap workload=demo");
	expect_string("/chosen", "stdout-path", "/isa/serial@3f8");
	node("/isa/serial@3f8");
}
END_TEST

START_TEST(room_for_logs)
{
	struct memory mem = {.nr = 1, .slot = {{.gpa = 0, .size = 64 << 20}}};
	struct fdt_config config = {
		.mem = &mem,
		.bootargs = "",
		.nr_vcpus = 2,
		.shared_size = 3 * 4096,
		.log_gpa = 0x3fd0000,
		.log_size = 2 * ALIAS_LOG_SIZE,
	};
	const fdt64_t *reg;

	ck_assert_int_gt(fdt_write(tree, sizeof(tree), &config), 0);
	reg = property("/hypervisor", "reg", 32);
	ck_assert_uint_eq(fdt64_ld(reg), SHARED_GPA);
	ck_assert_uint_eq(fdt64_ld(reg + 1), 3 * 4096);
	ck_assert_uint_eq(fdt64_ld(reg + 2), 0x3fd0000);
	ck_assert_uint_eq(fdt64_ld(reg + 3), 2 * ALIAS_LOG_SIZE);
	expect_reg("/reserved-memory/log", 0x3fd0000, 2 * ALIAS_LOG_SIZE);
}
END_TEST

START_TEST(memory_ranges)
{
	struct memory one = {.nr = 1, .slot = {{.gpa = 0, .size = 64 << 20}}};
	struct memory two = {
		.nr = 2, .slot = {{.gpa = 0, .size = 3 * GIB}, {.gpa = 4 * GIB, .size = 61 * GIB}}};
	const fdt64_t *reg;

	write_tree(&one, 1, 0);
	expect_string("/memory", "device_type", "memory");
	expect_reg("/memory", 0, 64 << 20);
	write_tree(&two, 1, 0);
	reg = property("/memory", "reg", 32);
	ck_assert_uint_eq(fdt64_ld(reg), 0);
	ck_assert_uint_eq(fdt64_ld(reg + 1), 3 * GIB);
	ck_assert_uint_eq(fdt64_ld(reg + 2), 4 * GIB);
	ck_assert_uint_eq(fdt64_ld(reg + 3), 61 * GIB);
	expect_reg("/reserved-memory/start-info", START_INFO_GPA, START_INFO_SIZE);
	expect_reg("/reserved-memory/fdt", FDT_GPA, FDT_MAX_SIZE);
	expect_reg("/reserved-memory/shared", SHARED_GPA, 2 * 4096);
}
END_TEST

START_TEST(cpus_and_devices)
{
	struct memory mem = {.nr = 1, .slot = {{.gpa = 0, .size = 64 << 20}}};
	const fdt32_t *reg;

	write_tree(&mem, OPTIONS_MAX_CPUS, OPTIONS_MAX_DISKS);
	for (unsigned i = 0; i < OPTIONS_MAX_CPUS; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/cpus/cpu@%x", i);
		ck_assert_uint_eq(u32(path, "reg"), i);
		expect_string(path, "device_type", "cpu");
	}
	ck_assert_int_lt(fdt_path_offset(tree, "/cpus/cpu@40"), 0);
	for (unsigned i = 0; i < OPTIONS_MAX_DISKS; i++) {
		char path[48];

		snprintf(path, sizeof(path), "/soc/virtio_mmio@d000%x000", i);
		expect_string(path, "compatible", "virtio,mmio");
		expect_reg(path, VIRTIO_GPA + i * 0x1000, 0x1000);
		ck_assert_uint_eq(u32(path, "interrupts"), VIRTIO_GSI + i);
	}
	reg = property("/isa/serial", "reg", 12);
	ck_assert_uint_eq(fdt32_ld(reg), 1);
	ck_assert_uint_eq(fdt32_ld(reg + 1), UART_PORT);
	ck_assert_uint_eq(fdt32_ld(reg + 2), UART_NR_PORTS);
	ck_assert_uint_eq(u32("/isa/serial", "interrupts"), UART_GSI);
	expect_reg("/soc/interrupt-controller", IOAPIC_GPA, 0x1000);
	ck_assert_uint_eq(u32("/soc", "interrupt-parent"),
			  fdt_get_phandle(tree, node("/soc/interrupt-controller")));
}
END_TEST

/* dtc knows the conventions; it must have nothing to say. */
START_TEST(the_compiler_is_content)
{
	struct memory mem = {.nr = 1, .slot = {{.gpa = 0, .size = 64 << 20}}};
	char path[] = "/tmp/unit-vmm-XXXXXX", command[128], said[1024] = "";
	int fd = mkstemp(path);
	FILE *dtc;

	if (system("command -v dtc >/dev/null 2>&1")) {
		printf("skip the_compiler_is_content: there is no dtc (device-tree-compiler)\n");
		unlink(path);
		return;
	}
	write_tree(&mem, 4, 2);
	ck_assert_int_eq(write(fd, tree, fdt_totalsize(tree)), (ssize_t)fdt_totalsize(tree));
	close(fd);
	snprintf(command, sizeof(command), "dtc -I dtb -O dtb -o /dev/null %s 2>&1", path);
	dtc = popen(command, "r");
	ck_assert_ptr_nonnull(dtc);
	said[fread(said, 1, sizeof(said) - 1, dtc)] = '\0';
	ck_assert_int_eq(pclose(dtc), 0);
	unlink(path);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(too_small_a_buffer)
{
	struct memory mem = {.nr = 1, .slot = {{.gpa = 0, .size = 64 << 20}}};
	struct fdt_config config = {
		.mem = &mem, .bootargs = "", .nr_vcpus = 64, .shared_size = 65 * 4096};

	for (size_t size = 0; size < 3000; size += 100)
		ck_assert_int_lt(fdt_write(tree, size, &config), 0);
}
END_TEST

static const void *at(const struct memory *mem, uint64_t gpa, uint64_t size)
{
	const void *p = memory_ptr(mem, gpa, size);

	ck_assert_ptr_nonnull(p);
	return p;
}

START_TEST(start_info)
{
	const struct pvh_start_info *info;
	const struct pvh_module *module;
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 64 << 20), 0);
	pvh_write_guest(&mem, "flush=trap x=1", 1234, 3 * 4096, 0);
	info = at(&mem, START_INFO_GPA, sizeof(*info));
	ck_assert_uint_eq(info->magic, 0x336ec578);
	ck_assert_uint_eq(info->version, 1);
	ck_assert_uint_eq(info->nr_modules, 1);
	ck_assert_uint_eq(info->rsdp_paddr, 0);
	ck_assert_str_eq(at(&mem, info->cmdline_paddr, 15), "flush=trap x=1");
	module = at(&mem, info->modlist_paddr, sizeof(*module));
	ck_assert_uint_eq(module->paddr, FDT_GPA);
	ck_assert_uint_eq(module->size, 1234);
	ck_assert_str_eq(at(&mem, module->cmdline_paddr, 4), "fdt");
	memory_free(&mem);
}
END_TEST

/* Sorted, without gaps or overlaps within each slot, and what is not the guest's own is reserved.
 */
static void check_map(uint64_t bytes, uint64_t log_size)
{
	const struct pvh_start_info *info;
	const struct pvh_memmap *map;
	uint64_t next = 0, ram = 0, reserved = 0;
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, bytes), 0);
	pvh_write_guest(&mem, "", 1, 65 * 4096, log_size);
	info = at(&mem, START_INFO_GPA, sizeof(*info));
	map = at(&mem, info->memmap_paddr, info->memmap_entries * sizeof(*map));
	for (uint32_t i = 0; i < info->memmap_entries; i++) {
		if (map[i].addr != next) {
			ck_assert_uint_eq(next, 3 * GIB);
			ck_assert_uint_eq(map[i].addr, 4 * GIB);
		}
		ck_assert_uint_gt(map[i].size, 0);
		next = map[i].addr + map[i].size;
		*(map[i].type == PVH_RAM ? &ram : &reserved) += map[i].size;
	}
	ck_assert_uint_eq(next, memory_end_pfn(&mem) * 4096);
	ck_assert_uint_eq(reserved, START_INFO_SIZE + FDT_MAX_SIZE + 65 * 4096 + log_size);
	ck_assert_uint_eq(ram + reserved, bytes);
	memory_free(&mem);
}

START_TEST(memory_map)
{
	for (uint64_t log_size = 0; log_size <= ALIAS_LOG_SIZE; log_size += ALIAS_LOG_SIZE) {
		check_map(4 << 20, log_size);
		check_map(3 * GIB, log_size);
		check_map(8 * GIB, log_size);
	}
}
END_TEST

TCase *boot_tests(void)
{
	TCase *tc = tcase_create("boot");

	tcase_add_test(tc, hypervisor_and_chosen);
	tcase_add_test(tc, room_for_logs);
	tcase_add_test(tc, memory_ranges);
	tcase_add_test(tc, cpus_and_devices);
	tcase_add_test(tc, the_compiler_is_content);
	tcase_add_test(tc, too_small_a_buffer);
	tcase_add_test(tc, start_info);
	tcase_add_test(tc, memory_map);
	return tc;
}

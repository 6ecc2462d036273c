/* SPDX-License-Identifier: MIT */
/* The platform from a device tree: a whole one, one with each property spoilt, and noise. */
#include "suites.h"

#include <libfdt.h>
#include <string.h>

#include "alias_abi.h"
#include "fdt_parse.h"
#include "panic.h"
#include "pgtable.h"
#include "platform.h"
#include "fake_platform.h"

enum { TREE_SIZE = 4096, NR_CPUS = 3 };

struct reg64 {
	fdt64_t base, size;
} __attribute__((packed));

static struct reg64 reg64(uint64_t base, uint64_t size)
{
	return (struct reg64){cpu_to_fdt64(base), cpu_to_fdt64(size)};
}

static int add_node(void *fdt, int parent, const char *name, const char *type,
		    const char *compatible)
{
	int node = fdt_add_subnode(fdt, parent, name);

	ck_assert_int_ge(node, 0);
	if (type)
		ck_assert_int_eq(fdt_setprop_string(fdt, node, "device_type", type), 0);
	if (compatible)
		ck_assert_int_eq(fdt_setprop_string(fdt, node, "compatible", compatible), 0);
	return node;
}

static void set_reg(void *fdt, int node, uint64_t base, uint64_t size)
{
	struct reg64 reg = reg64(base, size);

	ck_assert_int_eq(fdt_setprop(fdt, node, "reg", &reg, sizeof(reg)), 0);
}

static void set_cells(void *fdt, int node, uint32_t address, uint32_t size)
{
	ck_assert_int_eq(fdt_setprop_u32(fdt, node, "#address-cells", address), 0);
	ck_assert_int_eq(fdt_setprop_u32(fdt, node, "#size-cells", size), 0);
}

static void add_memory(void *fdt)
{
	const struct reg64 reg[] = {reg64(0, 3ul << 30), reg64(4ul << 30, 1ul << 30)};
	int node = add_node(fdt, 0, "memory@0", "memory", NULL);

	ck_assert_int_eq(fdt_setprop(fdt, node, "reg", reg, sizeof(reg)), 0);
	node = add_node(fdt, 0, "reserved-memory", NULL, NULL);
	set_cells(fdt, node, 2, 2);
	set_reg(fdt, add_node(fdt, node, "held@8000000", NULL, NULL), 0x8000000, 0x1800);
}

static void add_cpus(void *fdt)
{
	int cpus = add_node(fdt, 0, "cpus", NULL, NULL);

	set_cells(fdt, cpus, 1, 0);
	for (unsigned i = NR_CPUS; i-- > 0;) { /* a node that is added comes first */
		char name[] = "cpu@0";
		int node;

		name[4] += i;
		node = add_node(fdt, cpus, name, "cpu", NULL);
		ck_assert_int_eq(fdt_setprop_u32(fdt, node, "reg", 2 * i), 0);
	}
}

static void add_devices(void *fdt)
{
	const fdt32_t io[] = {cpu_to_fdt32(1), cpu_to_fdt32(0x2f8), cpu_to_fdt32(8)};
	int soc = add_node(fdt, 0, "soc", NULL, "simple-bus");
	int isa, node;

	set_cells(fdt, soc, 2, 2);
	node = add_node(fdt, soc, "interrupt-controller@fec00000", NULL, "intel,ioapic");
	set_reg(fdt, node, 0xfec00000, 0x1000);
	node = add_node(fdt, soc, "virtio_mmio@d0000000", NULL, "virtio,mmio");
	set_reg(fdt, node, 0xd0000000, 0x1000);
	ck_assert_int_eq(fdt_setprop_u32(fdt, node, "interrupts", 5), 0);
	isa = add_node(fdt, 0, "isa", NULL, "isa");
	set_cells(fdt, isa, 2, 1);
	node = add_node(fdt, isa, "serial@2f8", NULL, "ns16550a");
	ck_assert_int_eq(fdt_setprop(fdt, node, "reg", io, sizeof(io)), 0);
	ck_assert_int_eq(fdt_setprop_u32(fdt, node, "interrupts", 3), 0);
}

static void add_host(void *fdt)
{
	int node = add_node(fdt, 0, "hypervisor@40000", NULL, ALIAS_COMPATIBLE);

	set_reg(fdt, node, 0x40000, (1 + NR_CPUS) * ALIAS_PAGE_SIZE);
	ck_assert_int_eq(fdt_setprop_u32(fdt, node, "abi-version", ALIAS_ABI_VERSION), 0);
	ck_assert_int_eq(fdt_setprop_u32(fdt, node, "hypercall-port", 0x1234), 0);
	ck_assert_int_eq(fdt_setprop_u32(fdt, node, "poweroff-port", 0x1238), 0);
	ck_assert_int_eq(fdt_setprop_u32(fdt, node, "upcall-vector", 20), 0);
}

static void make_tree(void *fdt)
{
	int node;

	ck_assert_int_eq(fdt_create_empty_tree(fdt, TREE_SIZE), 0);
	set_cells(fdt, 0, 2, 2);
	add_memory(fdt);
	add_cpus(fdt);
	add_devices(fdt);
	add_host(fdt);
	node = add_node(fdt, 0, "chosen", NULL, NULL);
	ck_assert_int_eq(fdt_setprop_string(fdt, node, "bootargs", "alpha=1"), 0);
	ck_assert_int_eq(fdt_setprop_string(fdt, node, "stdout-path", "/isa/serial@2f8"), 0);
}

/* True if the guest refused it; that must be a panic. */
static bool refuses(const void *fdt)
{
	bool refused;

	memset(&platform, 0, sizeof(platform));
	refused = ENDS(fdt_parse(fdt, TREE_SIZE, &platform));
	if (refused)
		ck_assert_uint_eq(fake.status, EXIT_PANIC);
	return refused;
}

START_TEST(a_whole_tree)
{
	static uint8_t fdt[TREE_SIZE];

	make_tree(fdt);
	ck_assert_msg(!refuses(fdt), "%s", fake.console);
	ck_assert_uint_eq(platform.nr_memory, 2);
	ck_assert_uint_eq(platform.memory[0].end, 3ul << 30);
	ck_assert_uint_eq(platform.memory[1].start, 4ul << 30);
	ck_assert_uint_eq(platform.nr_reserved, 2);
	ck_assert_uint_eq(platform.reserved[0].start, 0x40000);
	ck_assert_uint_eq(platform.reserved[1].start, 0x8000000);
	ck_assert_uint_eq(platform.reserved[1].end, 0x8002000);
	ck_assert_uint_eq(platform.nr_cpus, NR_CPUS);
	for (unsigned i = 0; i < NR_CPUS; i++)
		ck_assert_uint_eq(platform.apic_ids[i], 2 * i);
	ck_assert_uint_eq(platform.console_port, 0x2f8);
	ck_assert_uint_eq(platform.console_gsi, 3);
	ck_assert_uint_eq(platform.ioapic_gpa, 0xfec00000);
	ck_assert_uint_eq(platform.nr_virtio, 1);
	ck_assert_uint_eq(platform.virtio[0].gpa, 0xd0000000);
	ck_assert_uint_eq(platform.virtio[0].gsi, 5);
	ck_assert(platform.has_host);
	ck_assert_uint_eq(platform.hypercall_port, 0x1234);
	ck_assert_uint_eq(platform.poweroff_port, 0x1238);
	ck_assert_uint_eq(platform.upcall_vector, 20);
	ck_assert_uint_eq(platform.shared_gpa, 0x40000);
	ck_assert_uint_eq(platform.log_gpa, 0);
	ck_assert_str_eq(platform.bootargs, "alpha=1");
}
END_TEST

START_TEST(no_host)
{
	static uint8_t fdt[TREE_SIZE];

	make_tree(fdt);
	ck_assert_int_eq(fdt_del_node(fdt, fdt_path_offset(fdt, "/hypervisor")), 0);
	ck_assert(!refuses(fdt));
	ck_assert(!platform.has_host);
}
END_TEST

/* Each of these the guest can't do without: gone, too short, and of all ones. */
static const struct {
	const char *path, *property;
} needed[] = {
	{"/memory", "reg"},
	{"/reserved-memory/held", "reg"},
	{"/cpus/cpu@1", "reg"},
	{"/soc/interrupt-controller", "reg"},
	{"/soc/virtio_mmio", "reg"},
	{"/soc/virtio_mmio", "interrupts"},
	{"/isa/serial", "reg"},
	{"/isa/serial", "interrupts"},
	{"/hypervisor", "reg"},
	{"/hypervisor", "abi-version"},
	{"/hypervisor", "hypercall-port"},
	{"/hypervisor", "poweroff-port"},
	{"/hypervisor", "upcall-vector"},
	{"/chosen", "stdout-path"},
};

START_TEST(a_spoilt_property)
{
	static uint8_t whole[TREE_SIZE], fdt[TREE_SIZE];
	const char *property = needed[_i].property;
	uint8_t ones[64];
	int node, len;

	make_tree(whole);
	node = fdt_path_offset(whole, needed[_i].path);
	ck_assert_int_ge(node, 0);
	ck_assert_ptr_nonnull(fdt_getprop(whole, node, property, &len));
	memset(ones, 0xff, sizeof(ones));

	memcpy(fdt, whole, sizeof(fdt));
	fdt_delprop(fdt, node, property);
	ck_assert_msg(refuses(fdt), "%s %s: gone", needed[_i].path, property);

	memcpy(fdt, whole, sizeof(fdt));
	fdt_setprop(fdt, node, property, ones, len - 1);
	ck_assert_msg(refuses(fdt), "%s %s: short", needed[_i].path, property);

	memcpy(fdt, whole, sizeof(fdt));
	fdt_setprop(fdt, node, property, fdt_getprop(whole, node, property, NULL), len - 4);
	ck_assert_msg(refuses(fdt), "%s %s: a cell too few", needed[_i].path, property);

	memcpy(fdt, whole, sizeof(fdt));
	fdt_setprop(fdt, node, property, ones, len);
	ck_assert_msg(refuses(fdt), "%s %s: all ones", needed[_i].path, property);
}
END_TEST

START_TEST(shared_pages_for_too_few_cpus)
{
	static uint8_t fdt[TREE_SIZE];

	make_tree(fdt);
	set_reg(fdt, fdt_path_offset(fdt, "/hypervisor"), 0x40000, NR_CPUS * ALIAS_PAGE_SIZE);
	ck_assert(refuses(fdt));
	ck_assert_ptr_nonnull(strstr(fake.console, "shared pages"));
}
END_TEST

/* A second range is room for logs, if there is enough of it. */
START_TEST(room_for_logs)
{
	static const struct {
		uint64_t base, size;
		bool good;
	} rooms[] = {
		{0x7000000, NR_CPUS * ALIAS_LOG_SIZE, true},
		{0x7000000, NR_CPUS * ALIAS_LOG_SIZE - 4096, false},
		{0x7000800, NR_CPUS * ALIAS_LOG_SIZE, false},
		{0x7000000, 0, false},
		{0 - 4096ul, NR_CPUS * ALIAS_LOG_SIZE, false},
	};

	for (unsigned i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		static uint8_t fdt[TREE_SIZE];
		struct reg64 reg[] = {reg64(0x40000, (1 + NR_CPUS) * ALIAS_PAGE_SIZE),
				      reg64(rooms[i].base, rooms[i].size)};

		make_tree(fdt);
		ck_assert_int_eq(fdt_setprop(fdt, fdt_path_offset(fdt, "/hypervisor"), "reg", reg,
					     sizeof(reg)),
				 0);
		ck_assert(refuses(fdt) != rooms[i].good);
		if (!rooms[i].good)
			continue;
		ck_assert_uint_eq(platform.log_gpa, rooms[i].base);
		ck_assert_uint_eq(platform.nr_reserved, 3);
	}
}
END_TEST

/* Before version 16 nodes have whole paths for names, so this root has none: libfdt 1.6 looks at it
 * all the same. */
START_TEST(a_root_without_a_name)
{
	static uint8_t fdt[TREE_SIZE];

	make_tree(fdt);
	fdt_set_version(fdt, 2);
	fdt_set_last_comp_version(fdt, 2);
	ck_assert(refuses(fdt));
}
END_TEST

/* Whatever the bytes are, it ends in a platform or in a panic. */
START_TEST(noise)
{
	static uint8_t whole[TREE_SIZE], fdt[TREE_SIZE];
	uint64_t rng = test_seed + (uint64_t)_i;
	unsigned refused = 0, rounds = 4000;

	make_tree(whole);
	for (unsigned round = 0; round < rounds; round++) {
		unsigned changes = 1 + test_below(&rng, 6);

		memcpy(fdt, whole, sizeof(fdt));
		while (changes--)
			fdt[test_below(&rng, fdt_totalsize(whole))] = test_random(&rng) >> 56;
		refused += refuses(fdt);
		ck_assert_uint_le(platform.nr_cpus, MAX_CPUS);
		ck_assert_uint_le(platform.nr_memory, PLATFORM_RANGES);
	}
	ck_assert_uint_gt(refused, 0);
	ck_assert_uint_lt(refused, rounds);
}
END_TEST

START_TEST(memory_is_sorted_and_merged)
{
	memset(&platform, 0, sizeof(platform));
	platform_add_memory(&platform, 0x10000, 0x1000);
	platform_add_memory(&platform, 0x1800, 0x2000);  /* inwards: [0x2000, 0x3000) */
	platform_add_memory(&platform, 0x3000, 0x1000);  /* touches it */
	platform_add_memory(&platform, 0x20010, 0xff0);  /* less than a page */
	platform_add_memory(&platform, 0xf000, 0x10000); /* around the first */
	ck_assert_uint_eq(platform.nr_memory, 2);
	ck_assert_uint_eq(platform.memory[0].start, 0x2000);
	ck_assert_uint_eq(platform.memory[0].end, 0x4000);
	ck_assert_uint_eq(platform.memory[1].start, 0xf000);
	ck_assert_uint_eq(platform.memory[1].end, 0x1f000);
	ck_assert(ENDS(platform_add_memory(&platform, UINT64_MAX - 10, 100)));
}
END_TEST

START_TEST(no_start_info)
{
	memset(guest_memory, 0, sizeof(guest_memory));
	ck_assert(ENDS(platform_init(0x6000)));
	ck_assert_ptr_nonnull(strstr(fake.console, "not started by PVH"));
	ck_assert(ENDS(platform_init(0)));
	ck_assert(ENDS(platform_init(BOOT_MAPPED)));
}
END_TEST

Suite *fdt_suite(void)
{
	Suite *suite = suite_create("fdt");
	TCase *tcase = tcase_create("fdt");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_whole_tree);
	tcase_add_test(tcase, no_host);
	tcase_add_loop_test(tcase, a_spoilt_property, 0, sizeof(needed) / sizeof(needed[0]));
	tcase_add_test(tcase, shared_pages_for_too_few_cpus);
	tcase_add_test(tcase, room_for_logs);
	tcase_add_test(tcase, a_root_without_a_name);
	tcase_add_loop_test(tcase, noise, 0, 3);
	tcase_add_test(tcase, memory_is_sorted_and_merged);
	tcase_add_test(tcase, no_start_info);
	suite_add_tcase(suite, tcase);
	return suite;
}

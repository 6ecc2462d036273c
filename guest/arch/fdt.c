/* SPDX-License-Identifier: MIT */
/* Parses the flattened device tree. libfdt reads it; all that it returns is checked here. */
#include "fdt_parse.h"

#include <libfdt.h>
#include <string.h>

#include <alias_abi.h>
#include "panic.h"
#include "pgtable.h"
#include "platform.h"

#define ISA_IO_SPACE 1u /* first cell of an ISA address */

static const fdt32_t *get_cells(const void *fdt, int node, const char *name, unsigned *nr)
{
	int len;
	const fdt32_t *cells = fdt_getprop(fdt, node, name, &len);

	if (!cells || len % 4)
		panic("device tree: %s has no usable '%s'", fdt_get_name(fdt, node, NULL), name);
	*nr = len / 4;
	return cells;
}

static uint32_t get_u32(const void *fdt, int node, const char *name, uint32_t max)
{
	unsigned nr;
	const fdt32_t *cells = get_cells(fdt, node, name, &nr);

	if (nr != 1 || fdt32_to_cpu(cells[0]) > max)
		panic("device tree: '%s' of %s is not a number up to %u", name,
		      fdt_get_name(fdt, node, NULL), max);
	return fdt32_to_cpu(cells[0]);
}

static uint64_t join_cells(const fdt32_t *cells, int nr)
{
	uint64_t value = 0;

	while (nr--)
		value = value << 32 | fdt32_to_cpu(*cells++);
	return value;
}

/* A node's `reg`: `nr` pairs of an address and a size, each of the number of cells that the node's
 * parent says. */
struct reg {
	const fdt32_t *cells;
	int address, size;
	unsigned nr;
};

static struct reg get_reg(const void *fdt, int node)
{
	int parent = fdt_parent_offset(fdt, node);
	struct reg reg = {.address = fdt_address_cells(fdt, parent),
			  .size = fdt_size_cells(fdt, parent)};
	unsigned nr;

	reg.cells = get_cells(fdt, node, "reg", &nr);
	if (reg.address < 1 || reg.address > 2 || reg.size < 0 || reg.size > 2 ||
	    nr % (reg.address + reg.size))
		panic("device tree: 'reg' of %s makes no sense", fdt_get_name(fdt, node, NULL));
	reg.nr = nr / (reg.address + reg.size);
	return reg;
}

static struct phys_range reg_pair(const struct reg *reg, unsigned i)
{
	const fdt32_t *cells = reg->cells + i * (reg->address + reg->size);
	uint64_t start = join_cells(cells, reg->address);

	return (struct phys_range){start, start + join_cells(cells + reg->address, reg->size)};
}

/* The range of a device, the first of its `reg`. Panics unless it is page-aligned, not empty, and
 * below the end of the physical address space. */
static struct phys_range device_range(const void *fdt, int node)
{
	struct reg reg = get_reg(fdt, node);
	struct phys_range r = reg.nr ? reg_pair(&reg, 0) : (struct phys_range){0, 0};

	if (r.start >= r.end || r.start % PAGE_SIZE || r.end > PTE_ADDR)
		panic("device tree: 'reg' of %s is no range of pages",
		      fdt_get_name(fdt, node, NULL));
	return r;
}

static bool is_type(const void *fdt, int node, const char *type)
{
	int len;
	const char *value = fdt_getprop(fdt, node, "device_type", &len);

	return value && (size_t)len == strlen(type) + 1 && !memcmp(value, type, len);
}

static void parse_memory(const void *fdt, struct platform *to)
{
	int node;

	fdt_for_each_subnode(node, fdt, 0)
	{
		if (!is_type(fdt, node, "memory"))
			continue;
		struct reg reg = get_reg(fdt, node);

		for (unsigned i = 0; i < reg.nr; i++) {
			struct phys_range r = reg_pair(&reg, i);

			platform_add_memory(to, r.start, r.end - r.start);
		}
	}
}

static void parse_reserved(const void *fdt, struct platform *to)
{
	int parent = fdt_path_offset(fdt, "/reserved-memory");
	int node;

	for (int i = 0; i < fdt_num_mem_rsv(fdt); i++) {
		uint64_t start, size;

		if (!fdt_get_mem_rsv(fdt, i, &start, &size))
			platform_add_reserved(to, start, size);
	}
	if (parent < 0)
		return;
	fdt_for_each_subnode(node, fdt, parent)
	{
		struct reg reg = get_reg(fdt, node);

		for (unsigned i = 0; i < reg.nr; i++) {
			struct phys_range r = reg_pair(&reg, i);

			platform_add_reserved(to, r.start, r.end - r.start);
		}
	}
}

static void parse_cpus(const void *fdt, struct platform *to)
{
	int parent = fdt_path_offset(fdt, "/cpus");
	int node;

	if (parent < 0)
		panic("device tree: no /cpus");
	fdt_for_each_subnode(node, fdt, parent)
	{
		if (!is_type(fdt, node, "cpu"))
			continue;
		if (to->nr_cpus == MAX_CPUS)
			panic("device tree: more than %u CPUs", MAX_CPUS);
		to->apic_ids[to->nr_cpus++] = get_u32(fdt, node, "reg", UINT32_MAX - 1);
	}
	if (!to->nr_cpus)
		panic("device tree: no CPU under /cpus");
}

static void parse_console(const void *fdt, struct platform *to)
{
	int chosen = fdt_path_offset(fdt, "/chosen");
	const char *path = chosen < 0 ? NULL : fdt_getprop(fdt, chosen, "stdout-path", NULL);
	int node = path ? fdt_path_offset(fdt, path) : -1;
	const fdt32_t *reg;
	unsigned nr;

	if (node < 0 || fdt_node_check_compatible(fdt, node, "ns16550a"))
		panic("device tree: /chosen stdout-path names no ns16550a");
	reg = get_cells(fdt, node, "reg", &nr);
	if (nr != 3 || fdt32_to_cpu(reg[0]) != ISA_IO_SPACE || fdt32_to_cpu(reg[1]) > 0xfff8)
		panic("device tree: 'reg' of the console is no range of I/O ports");
	to->console_port = fdt32_to_cpu(reg[1]);
	to->console_gsi = get_u32(fdt, node, "interrupts", UINT8_MAX);
}

static void parse_devices(const void *fdt, struct platform *to)
{
	int node = fdt_node_offset_by_compatible(fdt, -1, "intel,ioapic");

	if (node < 0)
		panic("device tree: no intel,ioapic");
	to->ioapic_gpa = device_range(fdt, node).start;
	for (node = -1;;) {
		struct phys_range r;

		node = fdt_node_offset_by_compatible(fdt, node, "virtio,mmio");
		if (node < 0)
			return;
		if (to->nr_virtio == PLATFORM_VIRTIO)
			panic("device tree: more than %u virtio devices", PLATFORM_VIRTIO);
		r = device_range(fdt, node);
		to->virtio[to->nr_virtio].gpa = r.start;
		to->virtio[to->nr_virtio].size = r.end - r.start;
		to->virtio[to->nr_virtio++].gsi = get_u32(fdt, node, "interrupts", UINT8_MAX);
	}
}

/* The logs are the second range of the hypervisor's node; it may have none. */
static void parse_log(const void *fdt, int node, struct platform *to)
{
	struct reg reg = get_reg(fdt, node);
	struct phys_range r;

	if (reg.nr < 2)
		return;
	r = reg_pair(&reg, 1);
	if (r.start % PAGE_SIZE || r.end > PTE_ADDR || r.start >= r.end ||
	    r.end - r.start < to->nr_cpus * (uint64_t)ALIAS_LOG_SIZE)
		panic("the log has %lu bytes at %#lx, %u CPUs need %lu", r.end - r.start, r.start,
		      to->nr_cpus, to->nr_cpus * (uint64_t)ALIAS_LOG_SIZE);
	to->log_gpa = r.start;
	platform_add_reserved(to, r.start, r.end - r.start);
}

static void parse_hypervisor(const void *fdt, struct platform *to)
{
	uint64_t needed = (1ul + to->nr_cpus) * PAGE_SIZE;
	int node = fdt_node_offset_by_compatible(fdt, -1, ALIAS_COMPATIBLE);
	struct phys_range shared;
	uint32_t version;

	if (node < 0)
		return; /* a host without this ABI */
	version = get_u32(fdt, node, "abi-version", UINT32_MAX);
	if (version != ALIAS_ABI_VERSION)
		panic("the host speaks version %u of the alias ABI, this guest version %u", version,
		      ALIAS_ABI_VERSION);
	to->hypercall_port = get_u32(fdt, node, "hypercall-port", UINT16_MAX);
	to->poweroff_port = get_u32(fdt, node, "poweroff-port", UINT16_MAX);
	to->upcall_vector = get_u32(fdt, node, "upcall-vector", 31);
	shared = device_range(fdt, node);
	if (shared.end - shared.start < needed)
		panic("the shared pages have %lu bytes, %u CPUs need %lu",
		      shared.end - shared.start, to->nr_cpus, needed);
	to->shared_gpa = shared.start;
	platform_add_reserved(to, shared.start, shared.end - shared.start);
	parse_log(fdt, node, to);
	to->has_host = true;
}

static int check_tree(const void *fdt, uint64_t size)
{
	int error = size < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED : fdt_check_header(fdt);

	if (error)
		return error;
	if (size < fdt_totalsize(fdt))
		return -FDT_ERR_TRUNCATED;
	/* fdt_check_full() of libfdt 1.6 assumes that the root has a name, and crashes without. */
	if (!fdt_get_name(fdt, 0, &error))
		return error;
	return fdt_check_full(fdt, size);
}

void fdt_parse(const void *fdt, uint64_t size, struct platform *to)
{
	int error = check_tree(fdt, size);
	const char *bootargs;
	int chosen, len;

	if (error)
		panic("device tree: %s", fdt_strerror(error));
	parse_memory(fdt, to);
	parse_reserved(fdt, to);
	parse_cpus(fdt, to);
	parse_console(fdt, to);
	parse_devices(fdt, to);
	parse_hypervisor(fdt, to);
	chosen = fdt_path_offset(fdt, "/chosen");
	bootargs = chosen < 0 ? NULL : fdt_getprop(fdt, chosen, "bootargs", &len);
	if (bootargs)
		platform_set_bootargs(to, bootargs, len);
}

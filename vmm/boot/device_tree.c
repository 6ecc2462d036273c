/* SPDX-License-Identifier: MIT */
#include "boot/device_tree.h"

#include <libfdt.h>
#include <stdio.h>
#include "alias_abi.h"
#include "machine_map.h"

/* After a first error all later calls of libfdt's sequential functions fail, too, so the result of
 * the last is enough. `err` collects the results. */

enum phandles { PHANDLE_IOAPIC = 1 };

#define ISA_IO_SPACE 1 /* first cell of an ISA address: I/O space */

struct reg64 {
	fdt64_t base, size;
} __attribute__((packed));

static struct reg64 reg64(uint64_t base, uint64_t size)
{
	return (struct reg64){.base = cpu_to_fdt64(base), .size = cpu_to_fdt64(size)};
}

static int reg_property(void *fdt, uint64_t base, uint64_t size)
{
	struct reg64 reg = reg64(base, size);

	return fdt_property(fdt, "reg", &reg, sizeof(reg));
}

static int set_cells(void *fdt, uint32_t address, uint32_t size)
{
	int err = fdt_property_u32(fdt, "#address-cells", address);

	return err ? err : fdt_property_u32(fdt, "#size-cells", size);
}

static int begin_unit(void *fdt, const char *name, uint64_t unit)
{
	char full[48];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)unit);
	return fdt_begin_node(fdt, full);
}

static int write_memory(void *fdt, const struct memory *mem)
{
	struct reg64 reg[MEMORY_MAX_SLOTS];
	int err = begin_unit(fdt, "memory", 0);

	for (unsigned i = 0; i < mem->nr; i++)
		reg[i] = reg64(mem->slot[i].gpa, mem->slot[i].size);
	err |= fdt_property_string(fdt, "device_type", "memory");
	err |= fdt_property(fdt, "reg", reg, mem->nr * sizeof(reg[0]));
	return err | fdt_end_node(fdt);
}

static int write_reserved(void *fdt, const struct fdt_config *config)
{
	const struct {
		const char *name;
		uint64_t base, size;
	} areas[] = {
		{"start-info", START_INFO_GPA, START_INFO_SIZE},
		{"fdt", FDT_GPA, FDT_MAX_SIZE},
		{"shared", SHARED_GPA, config->shared_size},
		{"log", config->log_gpa, config->log_size},
	};
	unsigned nr = sizeof(areas) / sizeof(areas[0]) - !config->log_size;
	int err = fdt_begin_node(fdt, "reserved-memory");

	err |= set_cells(fdt, 2, 2);
	err |= fdt_property(fdt, "ranges", NULL, 0);
	for (unsigned i = 0; i < nr; i++) {
		err |= begin_unit(fdt, areas[i].name, areas[i].base);
		err |= reg_property(fdt, areas[i].base, areas[i].size);
		err |= fdt_end_node(fdt);
	}
	return err | fdt_end_node(fdt);
}

static int write_cpus(void *fdt, unsigned nr)
{
	int err = fdt_begin_node(fdt, "cpus");

	err |= set_cells(fdt, 1, 0);
	for (unsigned i = 0; i < nr; i++) {
		err |= begin_unit(fdt, "cpu", i);
		err |= fdt_property_string(fdt, "device_type", "cpu");
		err |= fdt_property_string(fdt, "compatible", "x86-64");
		err |= fdt_property_u32(fdt, "reg", i);
		err |= fdt_end_node(fdt);
	}
	return err | fdt_end_node(fdt);
}

static int write_ioapic(void *fdt)
{
	int err = begin_unit(fdt, "interrupt-controller", IOAPIC_GPA);

	err |= fdt_property_string(fdt, "compatible", "intel,ioapic");
	err |= reg_property(fdt, IOAPIC_GPA, 0x1000);
	err |= fdt_property(fdt, "interrupt-controller", NULL, 0);
	err |= fdt_property_u32(fdt, "#interrupt-cells", 1);
	err |= fdt_property_u32(fdt, "#address-cells", 0);
	err |= fdt_property_u32(fdt, "phandle", PHANDLE_IOAPIC);
	return err | fdt_end_node(fdt);
}

static int write_virtio(void *fdt, unsigned index)
{
	uint64_t base = VIRTIO_GPA + index * VIRTIO_STRIDE;
	int err = begin_unit(fdt, "virtio_mmio", base);

	err |= fdt_property_string(fdt, "compatible", "virtio,mmio");
	err |= reg_property(fdt, base, VIRTIO_STRIDE);
	err |= fdt_property_u32(fdt, "interrupts", VIRTIO_GSI + index);
	return err | fdt_end_node(fdt);
}

static int write_soc(void *fdt, unsigned nr_disks)
{
	int err = fdt_begin_node(fdt, "soc");

	err |= fdt_property_string(fdt, "compatible", "simple-bus");
	err |= set_cells(fdt, 2, 2);
	err |= fdt_property(fdt, "ranges", NULL, 0);
	err |= fdt_property_u32(fdt, "interrupt-parent", PHANDLE_IOAPIC);
	err |= write_ioapic(fdt);
	for (unsigned i = 0; i < nr_disks; i++)
		err |= write_virtio(fdt, i);
	return err | fdt_end_node(fdt);
}

static int write_isa(void *fdt)
{
	const fdt32_t reg[] = {cpu_to_fdt32(ISA_IO_SPACE), cpu_to_fdt32(UART_PORT),
			       cpu_to_fdt32(UART_NR_PORTS)};
	int err = fdt_begin_node(fdt, "isa");

	err |= fdt_property_string(fdt, "compatible", "isa");
	err |= set_cells(fdt, 2, 1);
	err |= fdt_property_u32(fdt, "interrupt-parent", PHANDLE_IOAPIC);
	err |= begin_unit(fdt, "serial", UART_PORT);
	err |= fdt_property_string(fdt, "compatible", "ns16550a");
	err |= fdt_property(fdt, "reg", reg, sizeof(reg));
	err |= fdt_property_u32(fdt, "clock-frequency", UART_CLOCK);
	err |= fdt_property_u32(fdt, "interrupts", UART_GSI);
	err |= fdt_end_node(fdt);
	return err | fdt_end_node(fdt);
}

static int write_hypervisor(void *fdt, const struct fdt_config *config)
{
	const struct reg64 reg[] = {reg64(SHARED_GPA, config->shared_size),
				    reg64(config->log_gpa, config->log_size)};
	int err = begin_unit(fdt, "hypervisor", SHARED_GPA);

	err |= fdt_property_string(fdt, "compatible", ALIAS_COMPATIBLE);
	err |= fdt_property_u32(fdt, "abi-version", ALIAS_ABI_VERSION);
	err |= fdt_property_u32(fdt, "hypercall-port", HYPERCALL_PORT);
	err |= fdt_property_u32(fdt, "poweroff-port", POWEROFF_PORT);
	err |= fdt_property_u32(fdt, "upcall-vector", UPCALL_VECTOR);
	err |= fdt_property(fdt, "reg", reg, config->log_size ? sizeof(reg) : sizeof(reg[0]));
	return err | fdt_end_node(fdt);
}

static int write_chosen(void *fdt, const char *bootargs)
{
	char path[32];
	int err = fdt_begin_node(fdt, "chosen");

	snprintf(path, sizeof(path), "/isa/serial@%x", UART_PORT);
	err |= fdt_property_string(fdt, "bootargs", bootargs);
	err |= fdt_property_string(fdt, "stdout-path", path);
	return err | fdt_end_node(fdt);
}

static int write_root(void *fdt, const struct fdt_config *config)
{
	int err = fdt_begin_node(fdt, "");

	err |= set_cells(fdt, 2, 2);
	err |= fdt_property_string(fdt, "compatible", "aliastrap,machine");
	err |= fdt_property_string(fdt, "model", "vmm");
	err |= write_chosen(fdt, config->bootargs);
	err |= write_memory(fdt, config->mem);
	err |= write_reserved(fdt, config);
	err |= write_cpus(fdt, config->nr_vcpus);
	err |= write_soc(fdt, config->nr_disks);
	err |= write_isa(fdt);
	err |= write_hypervisor(fdt, config);
	return err | fdt_end_node(fdt);
}

int fdt_write(void *buffer, size_t size, const struct fdt_config *config)
{
	int err = fdt_create(buffer, size);

	err |= fdt_finish_reservemap(buffer);
	err |= write_root(buffer, config);
	err |= fdt_finish(buffer);
	return err ? -FDT_ERR_NOSPACE : (int)fdt_totalsize(buffer);
}

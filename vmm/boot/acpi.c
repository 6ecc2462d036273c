/* SPDX-License-Identifier: MIT */
#include "boot/acpi.h"

#include <stdbool.h>
#include <string.h>
#include "machine_map.h"
#include "boot/aml.h"

#define LOCAL_APIC_GPA 0xfee00000u
#define TABLE_ALIGN    16u

/* FADT */
#define FLAG_WBINVD           (1u << 0)
#define FLAG_RESET_REGISTER   (1u << 10)
#define FLAG_HARDWARE_REDUCED (1u << 20)
#define BOOT_NO_VGA           (1u << 2)
#define BOOT_NO_MSI           (1u << 3)
#define BOOT_NO_ASPM          (1u << 4)
#define BOOT_NO_CMOS_RTC      (1u << 5)

struct rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	uint32_t rsdt_gpa;
	uint32_t length;
	uint64_t xsdt_gpa;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct xsdt {
	struct header header;
	uint64_t fadt_gpa, madt_gpa;
} __attribute__((packed));

enum address_space { SPACE_IO = 1 };

/* "Generic Address Structure" */
struct address {
	uint8_t space, bit_width, bit_offset, access_size;
	uint64_t address;
} __attribute__((packed));

/* Zero but for what a hardware-reduced machine has. */
struct fadt {
	struct header header;
	uint8_t legacy[109 - 36];
	uint16_t boot_flags; /* IAPC_BOOT_ARCH */
	uint8_t reserved;
	uint32_t flags;
	struct address reset;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor_revision;
	uint64_t facs_gpa, dsdt_gpa;
	struct address event_and_timer_blocks[8];
	struct address sleep_control, sleep_status;
	char hypervisor[8];
} __attribute__((packed));

struct madt {
	struct header header;
	uint32_t local_apic_gpa;
	uint32_t flags; /* no 8259 */
} __attribute__((packed));

struct madt_local_apic {
	uint8_t type, length, processor, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t gpa, first_gsi;
} __attribute__((packed));

_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6.4, 5.2.5.3");
_Static_assert(sizeof(struct header) == 36, "ACPI 6.4, 5.2.6");
_Static_assert(sizeof(struct address) == 12, "ACPI 6.4, 5.2.3.2");
_Static_assert(offsetof(struct fadt, boot_flags) == 109, "ACPI 6.4, 5.2.9");
_Static_assert(offsetof(struct fadt, sleep_control) == 244, "ACPI 6.4, 5.2.9");
_Static_assert(sizeof(struct fadt) == 276, "ACPI 6.4, 5.2.9");
_Static_assert(sizeof(struct madt) == 44, "ACPI 6.4, 5.2.12");

/* The sum of all bytes of a table is 0. */
static uint8_t table_checksum(const void *bytes, size_t nr)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += ((const uint8_t *)bytes)[i];
	return (uint8_t)-sum;
}

static struct header table_header(const char *signature, uint8_t revision)
{
	struct header header = {
		.revision = revision,
		.oem = {'A', 'L', 'I', 'A', 'S', ' '},
		.oem_table = {'V', 'M', 'M', ' ', ' ', ' ', ' ', ' '},
		.oem_revision = 1,
		.creator = {'V', 'M', 'M', ' '},
		.creator_revision = 1,
	};

	memcpy(header.signature, signature, sizeof(header.signature));
	return header;
}

/* The address of the next table: tables are written one after the other. */
static size_t next_table(struct aml *all)
{
	static const uint8_t zeroes[TABLE_ALIGN];

	aml_bytes(all, zeroes, -all->nr % TABLE_ALIGN);
	return all->nr;
}

/* Completes the table that begins at `from`: length and checksum. */
static void end_table(struct aml *all, size_t from)
{
	struct header *table = (struct header *)(all->bytes + from);

	if (all->full)
		return;
	table->length = (uint32_t)(all->nr - from);
	table->checksum = 0;
	table->checksum = table_checksum(table, table->length);
}

static void put_uart(struct aml *aml, const struct acpi_config *config)
{
	size_t device = aml_device(aml, "COM1"), resources;

	aml_name_eisa_id(aml, "_HID", "PNP0501");
	aml_name_integer(aml, "_UID", 0);
	resources = aml_begin_resources(aml);
	aml_io_ports(aml, config->uart.port, config->uart.nr_ports);
	aml_interrupt(aml, config->uart.gsi);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

static void put_panic(struct aml *aml, const struct acpi_config *config)
{
	size_t device = aml_device(aml, "PEVT"), resources;

	aml_name_string(aml, "_HID",
			"QEMU0001"); /* the name by which Linux knows a pvpanic device */
	resources = aml_begin_resources(aml);
	aml_io_ports(aml, config->panic_port, 1);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

static void put_virtio(struct aml *aml, const struct acpi_config *config, unsigned index)
{
	const char name[4] = {'V', 'R', (char)('0' + index / 10), (char)('0' + index % 10)};
	size_t device = aml_device(aml, name), resources;

	aml_name_string(aml, "_HID", "LNRO0005"); /* the name by which Linux knows virtio-mmio */
	aml_name_integer(aml, "_UID", index);
	resources = aml_begin_resources(aml);
	aml_memory(aml, config->virtio[index].gpa, config->virtio[index].size);
	aml_interrupt(aml, config->virtio[index].gsi);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

static size_t put_dsdt(struct aml *all, const struct acpi_config *config)
{
	static const uint8_t s5[] = {ACPI_SLEEP_TYPE_S5, 0, 0, 0};
	const struct header dsdt = table_header("DSDT", 2);
	size_t from = next_table(all), scope;

	aml_bytes(all, &dsdt, sizeof(dsdt));
	scope = aml_scope(all, "\\_SB_");
	put_uart(all, config);
	put_panic(all, config);
	for (unsigned i = 0; i < config->nr_virtio; i++)
		put_virtio(all, config, i);
	aml_end(all, scope);
	aml_name_package(all, "_S5_", s5, sizeof(s5));
	end_table(all, from);
	return from;
}

static struct address io_port(uint16_t port)
{
	return (struct address){
		.space = SPACE_IO, .bit_width = 8, .access_size = 1, .address = port};
}

static size_t put_fadt(struct aml *all, const struct acpi_config *config, uint64_t dsdt_gpa)
{
	const struct fadt fadt = {
		.header = table_header("FACP", 6),
		.boot_flags = BOOT_NO_VGA | BOOT_NO_MSI | BOOT_NO_ASPM | BOOT_NO_CMOS_RTC,
		.flags = FLAG_WBINVD | FLAG_RESET_REGISTER | FLAG_HARDWARE_REDUCED,
		.reset = io_port(config->reset),
		.reset_value = config->reset_value,
		.minor_revision = 4,
		.dsdt_gpa = dsdt_gpa,
		.sleep_control = io_port(config->sleep_control),
		.sleep_status = io_port(config->sleep_status),
		.hypervisor = {'A', 'L', 'I', 'A', 'S', 'V', 'M', 'M'},
	};
	size_t from = next_table(all);

	aml_bytes(all, &fadt, sizeof(fadt));
	end_table(all, from);
	return from;
}

static size_t put_madt(struct aml *all, const struct acpi_config *config)
{
	const struct madt madt = {.header = table_header("APIC", 5),
				  .local_apic_gpa = LOCAL_APIC_GPA};
	const struct madt_ioapic ioapic = {
		.type = 1, .length = sizeof(ioapic), .gpa = config->ioapic_gpa};
	size_t from = next_table(all);

	aml_bytes(all, &madt, sizeof(madt));
	for (unsigned i = 0; i < config->nr_vcpus; i++) {
		const struct madt_local_apic apic = {
			.length = sizeof(apic),
			.processor = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = 1, /* enabled */
		};

		aml_bytes(all, &apic, sizeof(apic));
	}
	aml_bytes(all, &ioapic, sizeof(ioapic));
	end_table(all, from);
	return from;
}

static size_t put_xsdt(struct aml *all, uint64_t fadt_gpa, uint64_t madt_gpa)
{
	const struct xsdt xsdt = {
		.header = table_header("XSDT", 1), .fadt_gpa = fadt_gpa, .madt_gpa = madt_gpa};
	size_t from = next_table(all);

	aml_bytes(all, &xsdt, sizeof(xsdt));
	end_table(all, from);
	return from;
}

size_t acpi_write(void *buffer, size_t size, uint32_t gpa, const struct acpi_config *config)
{
	struct aml all = {.bytes = buffer, .size = size};
	struct rsdp rsdp = {
		.signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
		.oem = {'A', 'L', 'I', 'A', 'S', ' '},
		.revision = 2,
		.length = sizeof(rsdp),
	};
	size_t fadt, madt;

	aml_bytes(&all, &rsdp, sizeof(rsdp)); /* its place */
	fadt = put_fadt(&all, config, gpa + put_dsdt(&all, config));
	madt = put_madt(&all, config);
	rsdp.xsdt_gpa = gpa + put_xsdt(&all, gpa + fadt, gpa + madt);
	if (all.full)
		return 0;
	rsdp.checksum = table_checksum(&rsdp, offsetof(struct rsdp, length));
	rsdp.extended_checksum = table_checksum(&rsdp, sizeof(rsdp));
	memcpy(buffer, &rsdp, sizeof(rsdp));
	return all.nr;
}

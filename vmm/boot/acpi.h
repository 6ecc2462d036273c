/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables of a machine without firmware (ACPI 6.4, hardware-reduced): RSDP, XSDT, FADT,
 * MADT, DSDT. No guest memory and no KVM in here.
 */
#ifndef VMM_BOOT_ACPI_H
#define VMM_BOOT_ACPI_H

#include <stddef.h>
#include <stdint.h>

#define ACPI_MAX_VIRTIO 16

struct acpi_config {
	unsigned nr_vcpus; /* APIC ids 0 to nr_vcpus - 1; below 255 */
	uint32_t ioapic_gpa;
	/* I/O ports of a byte each. */
	uint16_t sleep_control, sleep_status, reset;
	uint8_t reset_value;
	uint16_t panic_port; /* pvpanic */
	struct {
		uint16_t port;
		uint8_t nr_ports;
		uint32_t gsi;
	} uart;
	unsigned nr_virtio; /* up to ACPI_MAX_VIRTIO */
	struct {
		uint32_t gpa, size, gsi;
	} virtio[ACPI_MAX_VIRTIO]; /* on virtio-mmio, in this order */
};

/* Writes the tables into `buffer` of `size` bytes, the RSDP first. The guest will see them at
 * `gpa`, a multiple of 16 below 4 GiB. Returns the number of bytes used, or 0 if there is no
 * room. */
size_t acpi_write(void *buffer, size_t size, uint32_t gpa, const struct acpi_config *config);

#endif

/* SPDX-License-Identifier: MIT */
/* The machine's fixed ports and addresses. Guests read them from the device tree or the ACPI
 * tables. */
#ifndef VMM_MACHINE_MAP_H
#define VMM_MACHINE_MAP_H

#define HYPERCALL_PORT 0xa11a
#define POWEROFF_PORT  0xa11e
/* #VE: an exception without error code that KVM never raises itself. */
#define UPCALL_VECTOR 20

#define START_INFO_GPA  0x6000ull
#define START_INFO_SIZE 0x2000ull
#define FDT_GPA         0x10000ull
#define FDT_MAX_SIZE    0x10000ull
#define SHARED_GPA      0x40000ull /* one alias_common_page, then one alias_vcpu_page for each vCPU */

#define UART_PORT     0x3f8
#define UART_NR_PORTS 8
#define UART_GSI      4
#define UART_CLOCK    1843200

/* For a guest that uses ACPI. */
#define ACPI_PM_PORT          0x600
#define ACPI_PM_NR_PORTS      3
#define ACPI_PM_SLEEP_CONTROL 0
#define ACPI_PM_SLEEP_STATUS  1
#define ACPI_PM_RESET         2
#define ACPI_PM_RESET_VALUE   0x06

#define PVPANIC_PORT 0x505
/* The sleep type of _S5. To power off, the guest writes (this << 2) | bit 5 to the sleep control
 * register. */
#define ACPI_SLEEP_TYPE_S5 5

#define IOAPIC_GPA    0xfec00000ull
#define VIRTIO_GPA    0xd0000000ull /* of the first disk */
#define VIRTIO_STRIDE 0x1000ull
#define VIRTIO_GSI    5 /* of the first disk */

/* The virtio console, for Linux; above all disks. */
#define VIRTIO_CONSOLE_GPA 0xd0100000ull
#define VIRTIO_CONSOLE_GSI 13

#endif

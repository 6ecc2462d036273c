/* SPDX-License-Identifier: MIT */
/*
 * Power management for a guest that uses ACPI: the sleep and reset registers of hardware-reduced
 * ACPI, and a pvpanic port, by which Linux reports a panic.
 */
#ifndef VMM_DEVICES_ACPI_PM_H
#define VMM_DEVICES_ACPI_PM_H

#define ACPI_PM_PORT          0x600
#define ACPI_PM_NR_PORTS      3
#define ACPI_PM_SLEEP_CONTROL 0
#define ACPI_PM_SLEEP_STATUS  1
#define ACPI_PM_RESET         2
#define ACPI_PM_RESET_VALUE   0x06

#define PVPANIC_PORT 0x505

struct bus;
struct stop;

/* Adds the registers to this port bus. The guest's requests end the machine by `stop`, which must
 * outlive the bus. Returns 0, or a negated errno after a message. */
int acpi_pm_create(struct bus *pio, struct stop *stop);

#endif

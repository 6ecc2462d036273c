/* SPDX-License-Identifier: MIT */
/*
 * How a guest that knows its machine by ACPI ends it: the sleep and reset registers of
 * hardware-reduced ACPI, and a pvpanic port, by which a kernel says that it has panicked.
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

/* Puts them on this port bus; what the guest asks for becomes a request to `stop`, which outlives
 * the bus's use. Returns 0, or a negated errno after saying why. */
int acpi_pm_create(struct bus *pio, struct stop *stop);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Power management for a guest that uses ACPI: the sleep and reset registers of hardware-reduced
 * ACPI, and a pvpanic port, by which Linux reports a panic.
 */
#ifndef VMM_DEVICES_ACPI_PM_H
#define VMM_DEVICES_ACPI_PM_H

struct bus;
struct stop;

/* Adds the registers to this port bus. The guest's requests end the machine by `stop`, which must
 * outlive the bus. Returns 0, or a negated errno after a message. */
int acpi_pm_create(struct bus *pio, struct stop *stop);

#endif

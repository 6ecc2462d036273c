/* SPDX-License-Identifier: MIT */
#include "devices/acpi_pm.h"

#include "devices/bus.h"
#include "machine_map.h"
#include "say.h"
#include "status.h"
#include "stop.h"

/* Sleep control register (ACPI 6.4, 4.8.3.7). */
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE_MASK  7u
#define SLEEP_ENABLE     (1u << 5)

/* pvpanic (QEMU's docs/specs/pvpanic): the events that a guest may write; a read says which of them
 * are supported. */
#define PVPANIC_PANICKED 1u

static void power_off(struct stop *stop, uint64_t value)
{
	unsigned type = value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK;

	if (value & SLEEP_ENABLE && type == ACPI_SLEEP_TYPE_S5)
		stop_request(stop, 0);
}

static void request_reset(struct stop *stop, uint64_t value)
{
	if (value != ACPI_PM_RESET_VALUE || stop_requested(stop))
		return;
	say("the guest asks for a reset: it reboots, or has panicked");
	stop_request(stop, VMM_EX_RESET);
}

static uint64_t pm_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	(void)dev, (void)vcpu, (void)off, (void)len;
	return 0;
}

static void pm_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value)
{
	(void)vcpu;
	if (len != 1)
		return;
	if (off == ACPI_PM_SLEEP_CONTROL)
		power_off(dev, value);
	else if (off == ACPI_PM_RESET)
		request_reset(dev, value);
}

static const struct bus_ops pm_ops = {.read = pm_read, .write = pm_write};

static uint64_t panic_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	(void)dev, (void)vcpu, (void)off, (void)len;
	return PVPANIC_PANICKED;
}

static void panic_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value)
{
	struct stop *stop = dev;

	(void)vcpu, (void)off, (void)len;
	if (!(value & PVPANIC_PANICKED) || stop_requested(stop))
		return;
	say("the guest's kernel reports a panic");
	stop_request(stop, VMM_EX_PANIC);
}

static const struct bus_ops panic_ops = {.read = panic_read, .write = panic_write};

int acpi_pm_create(struct bus *pio, struct stop *stop)
{
	const struct bus_region pm = {
		.base = ACPI_PM_PORT, .size = ACPI_PM_NR_PORTS, .ops = &pm_ops, .dev = stop};
	const struct bus_region panic = {
		.base = PVPANIC_PORT, .size = 1, .ops = &panic_ops, .dev = stop};
	int err = bus_add(pio, &pm);

	if (!err)
		err = bus_add(pio, &panic);
	if (err)
		say("no room on the port bus for the ACPI registers");
	return err;
}

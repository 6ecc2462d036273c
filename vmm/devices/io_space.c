/* SPDX-License-Identifier: MIT */
#include "devices/io_space.h"

#include "kvm/vm.h"

/* Returns false if there was no device for at least one access. */
static bool access_bus(struct vcpu *vcpu, const struct bus *bus, const struct exit_io *io)
{
	bool found = true;

	for (uint32_t i = 0; i < io->count; i++) {
		uint64_t value;

		if (io->write) {
			value = exit_get(vcpu->run, io, i);
			found &= bus_write(bus, vcpu, io->addr, io->len, value);
		} else {
			found &= bus_read(bus, vcpu, io->addr, io->len, &value);
			exit_put(vcpu->run, io, i, value);
		}
	}
	if (found && io->write)
		bus_written(bus, io->addr);
	return found;
}

static void access_port(void *ctx, struct vcpu *vcpu, const struct exit_io *io)
{
	struct io_space *space = ctx;

	if (!access_bus(vcpu, &space->pio, io))
		unassigned_note(&space->unassigned, "port", io->addr, io->write);
}

static void access_mmio(void *ctx, struct vcpu *vcpu, const struct exit_io *io)
{
	struct io_space *space = ctx;

	if (!access_bus(vcpu, &space->mmio, io))
		unassigned_note(&space->unassigned, "address", io->addr, io->write);
}

const struct io_ops io_space_ops = {.pio = access_port, .mmio = access_mmio};

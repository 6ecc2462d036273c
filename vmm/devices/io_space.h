/* SPDX-License-Identifier: MIT */
/* The I/O ports and MMIO addresses of the guest: passes each access to its device, or counts it as
 * unassigned. */
#ifndef VMM_DEVICES_IO_SPACE_H
#define VMM_DEVICES_IO_SPACE_H

#include "devices/bus.h"
#include "devices/unassigned.h"

struct io_ops;

struct io_space {
	struct bus pio;
	struct bus mmio;
	struct unassigned unassigned;
};

/* For struct vm; the context is a struct io_space. */
extern const struct io_ops io_space_ops;

#endif

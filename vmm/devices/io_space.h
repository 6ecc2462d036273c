/* SPDX-License-Identifier: MIT */
/* Accesses of the guest to what is no memory: to the device that is there, or to none. */
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

/* For struct vm. The context is a struct io_space. */
extern const struct io_ops io_space_ops;

#endif

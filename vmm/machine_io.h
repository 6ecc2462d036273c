/* SPDX-License-Identifier: MIT */
/* Accesses of the guest to what is no memory: to the device that is there, or to none. */
#ifndef VMM_MACHINE_IO_H
#define VMM_MACHINE_IO_H

#include "kvm/vm.h"

/* Its context is the struct machine. */
extern const struct io_ops machine_io_ops;

#endif

/* SPDX-License-Identifier: MIT */
/* One guest: everything that belongs to it, nothing global. */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "alias_abi.h"
#include "bus.h"
#include "memory.h"
#include "options.h"
#include "vcpu.h"
#include "world.h"

struct pin;
struct virtio_blk;
struct uart;

#define DOORBELL_PORT 0xa11a
#define POWEROFF_PORT 0xa11e
#define UPCALL_VECTOR 20 /* #VE: an exception without error code that KVM never raises by itself   \
			  */

#define START_INFO_GPA 0x6000ull
#define FDT_GPA        0x10000ull
#define FDT_MAX_SIZE   0x10000ull
#define SHARED_GPA     0x40000ull /* alias_common_page, then an alias_vcpu_page for each vCPU */

struct machine {
	const struct options *opt;
	int kvm_fd;
	int vm_fd;
	struct memory mem;
	struct bus pio;
	struct bus mmio;
	struct world world;
	unsigned nr_vcpus;
	struct vcpu *vcpus;
	struct uart *uart;
	struct virtio_blk *blk[OPTIONS_MAX_DISKS];
	struct pin *pin;
	/* How it ended: the first to write a status >= 0 wins (compare and swap from -1), then
	 * wakes the main thread through stop_fd. */
	atomic_int status;
	int stop_fd; /* eventfd */
};

/* Ends the machine with this status, from any thread; the first call counts. */
void machine_stop(struct machine *machine, int status);
bool machine_stopping(const struct machine *machine);

#endif

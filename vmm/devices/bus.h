/* SPDX-License-Identifier: MIT */
/* The I/O port bus and the MMIO bus. Regions are added before vCPUs run and never change, so a
 * look-up needs no lock. Each device has a lock of its own. */
#ifndef VMM_DEVICES_BUS_H
#define VMM_DEVICES_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

struct bus_ops {
	/* `len` is 1, 2, 4 or 8, and off + len lies in the region. Values are zero-extended. `vcpu`
	 * is the vCPU that made the access. */
	uint64_t (*read)(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len);
	void (*write)(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value);
	/* Called after the last write of one exit (string I/O makes many writes). May be NULL. */
	void (*written)(void *dev);
};

struct bus_region {
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	void *dev;
};

#define BUS_MAX_REGIONS 32

struct bus {
	unsigned nr;
	struct bus_region region[BUS_MAX_REGIONS]; /* sorted by base, not overlapping */
};

/* Adds a region. Returns 0, -ENOSPC, -EEXIST if it overlaps another region, or -EINVAL if it is
 * empty or wraps around. */
int bus_add(struct bus *bus, const struct bus_region *region);
/* Make one access. If no device is there, or `len` is not 1, 2, 4 or 8, they return false: a read
 * then gives all ones, a write has no effect. */
bool bus_read(const struct bus *bus, struct vcpu *vcpu, uint64_t addr, unsigned len, uint64_t *out);
bool bus_write(const struct bus *bus, struct vcpu *vcpu, uint64_t addr, unsigned len,
	       uint64_t value);
/* Calls written() of the device at this address: the writes of one exit are done. */
void bus_written(const struct bus *bus, uint64_t addr);

#endif

/* SPDX-License-Identifier: MIT */
/* Port and MMIO dispatch: regions are registered before vCPUs run and never change afterwards, so
 * look-ups need no lock. A device locks itself. */
#ifndef VMM_DEVICES_BUS_H
#define VMM_DEVICES_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

struct bus_ops {
	/* len 1, 2, 4 or 8; off + len is inside of the region. read returns the value,
	 * zero-extended; write gets it zero-extended. `vcpu` is the one that made the access. */
	uint64_t (*read)(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len);
	void (*write)(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value);
	/* After the last write of one exit (string I/O makes many); may be NULL. */
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

/* Returns 0, -ENOSPC, -EEXIST if it overlaps another region, -EINVAL if it is empty or wraps. */
int bus_add(struct bus *bus, const struct bus_region *region);
/* False if nobody is there, or `len` is not 1, 2, 4 or 8: a read then gives all ones, a write goes
 * nowhere. */
bool bus_read(const struct bus *bus, struct vcpu *vcpu, uint64_t addr, unsigned len, uint64_t *out);
bool bus_write(const struct bus *bus, struct vcpu *vcpu, uint64_t addr, unsigned len,
	       uint64_t value);
/* One exit's writes to this address are done. */
void bus_written(const struct bus *bus, uint64_t addr);

#endif

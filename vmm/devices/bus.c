/* SPDX-License-Identifier: MIT */
#include "devices/bus.h"

#include <errno.h>
#include <stddef.h>

int bus_add(struct bus *bus, const struct bus_region *region)
{
	uint64_t last = region->base + (region->size - 1);
	unsigned at = 0;

	if (region->size == 0 || last < region->base)
		return -EINVAL;
	if (bus->nr == BUS_MAX_REGIONS)
		return -ENOSPC;
	while (at < bus->nr && bus->region[at].base <= last) {
		if (bus->region[at].base + (bus->region[at].size - 1) >= region->base)
			return -EEXIST;
		at++;
	}
	for (unsigned i = bus->nr; i > at; i--)
		bus->region[i] = bus->region[i - 1];
	bus->region[at] = *region;
	bus->nr++;
	return 0;
}

static const struct bus_region *find_region(const struct bus *bus, uint64_t addr, unsigned len)
{
	if (len == 0 || len > 8 || (len & (len - 1)))
		return NULL;
	for (unsigned i = 0; i < bus->nr && bus->region[i].base <= addr; i++) {
		const struct bus_region *region = &bus->region[i];
		uint64_t off = addr - region->base;

		if (off < region->size)
			return len <= region->size - off ? region : NULL;
	}
	return NULL;
}

bool bus_read(const struct bus *bus, struct vcpu *vcpu, uint64_t addr, unsigned len, uint64_t *out)
{
	const struct bus_region *region = find_region(bus, addr, len);

	*out = UINT64_MAX;
	if (!region)
		return false;
	*out = region->ops->read(region->dev, vcpu, addr - region->base, len);
	return true;
}

bool bus_write(const struct bus *bus, struct vcpu *vcpu, uint64_t addr, unsigned len,
	       uint64_t value)
{
	const struct bus_region *region = find_region(bus, addr, len);

	if (!region)
		return false;
	region->ops->write(region->dev, vcpu, addr - region->base, len, value);
	return true;
}

void bus_written(const struct bus *bus, uint64_t addr)
{
	const struct bus_region *region = find_region(bus, addr, 1);

	if (region && region->ops->written)
		region->ops->written(region->dev);
}

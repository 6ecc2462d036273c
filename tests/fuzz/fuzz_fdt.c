/* SPDX-License-Identifier: MIT */
/* The guest's reader of device trees: the input is the tree. What it takes must make sense. */
#include <stdlib.h>
#include <string.h>
#include "fdt_parse.h"
#include "fuzz.h"
#include "pgtable.h"
#include "platform.h"
#include "fake_platform.h"

static void check_ranges(const struct phys_range *ranges, unsigned nr)
{
	MUST(nr <= PLATFORM_RANGES);
	for (unsigned i = 0; i < nr; i++) {
		MUST(ranges[i].start < ranges[i].end);
		MUST(ranges[i].start % PAGE_SIZE == 0 && ranges[i].end % PAGE_SIZE == 0);
		MUST(i == 0 || ranges[i - 1].end < ranges[i].start);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *fdt = malloc(size ? size : 1);

	if (size)
		memcpy(fdt, data, size);
	memset(&platform, 0, sizeof(platform));
	if (!ENDS(fdt_parse(fdt, size, &platform))) {
		check_ranges(platform.memory, platform.nr_memory);
		check_ranges(platform.reserved, platform.nr_reserved);
		MUST(platform.nr_cpus >= 1 && platform.nr_cpus <= MAX_CPUS);
		MUST(platform.nr_virtio <= PLATFORM_VIRTIO);
		MUST(strnlen(platform.bootargs, ALIAS_CMDLINE_SIZE) < ALIAS_CMDLINE_SIZE);
	}
	free(fdt);
	return 0;
}

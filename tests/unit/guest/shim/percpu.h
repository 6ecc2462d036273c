/* SPDX-License-Identifier: MIT */
/* Instead of guest/include/percpu.h: the test says on which CPU it is. */
#ifndef PERCPU_H
#define PERCPU_H

#include <stdint.h>
#include <alias_abi.h>
#include <cpu.h>

struct percpu {
	uint32_t id;
	struct alias_guest_stats *stats;
	uint64_t root_pfn;
};

struct percpu *this_cpu(void);

#define count_stat(field, n) (this_cpu()->stats->field += (n))

#endif

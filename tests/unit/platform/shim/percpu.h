/* SPDX-License-Identifier: MIT */
/* Instead of guest/include/percpu.h: the test says on which CPU it is. */
#ifndef PERCPU_H
#define PERCPU_H

#include <stdint.h>
#include <alias_abi.h>
#include <cpu.h>

struct percpu {
	uint32_t id;
};

struct percpu *this_cpu(void);

#endif

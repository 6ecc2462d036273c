/* SPDX-License-Identifier: MIT */
/*
 * A loop that waits, and counts how long this CPU really ran in it: if vCPUs share processors,
 * other vCPUs run for most of a long wait.
 */
#ifndef SPIN_WAIT_H
#define SPIN_WAIT_H

#include <stdint.h>
#include <cpu.h>

/* A round that takes more TSC ticks than this was interrupted, and is not counted. */
#define SPIN_AWAY 1000u

struct spin_wait {
	uint64_t last;  /* when the last round ended */
	uint64_t ticks; /* TSC ticks spent in rounds */
};

static inline struct spin_wait spin_wait_begin(void)
{
	return (struct spin_wait){.last = rdtsc()};
}

/* To be called in the body of the loop. */
static inline void spin_wait_round(struct spin_wait *wait)
{
	uint64_t now;

	cpu_relax();
	now = rdtsc();
	if (now - wait->last < SPIN_AWAY)
		wait->ticks += now - wait->last;
	wait->last = now;
}

#endif

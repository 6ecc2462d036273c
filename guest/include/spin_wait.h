/* SPDX-License-Identifier: MIT */
/*
 * Waiting in a loop, and how much of it this CPU really ran: where vCPUs share processors, most of
 * the time that a wait lasts belongs to whoever runs instead of the one who waits.
 */
#ifndef SPIN_WAIT_H
#define SPIN_WAIT_H

#include <stdint.h>
#include <cpu.h>

/* A round that takes more TSC ticks than this was interrupted; it isn't counted. */
#define SPIN_AWAY 1000u

struct spin_wait {
	uint64_t last;  /* when the last round ended */
	uint64_t ticks; /* TSC ticks spent in rounds */
};

static inline struct spin_wait spin_wait_begin(void)
{
	return (struct spin_wait){.last = rdtsc()};
}

/* The body of the loop. */
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

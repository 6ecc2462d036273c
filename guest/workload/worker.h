/* SPDX-License-Identifier: MIT */
/*
 * Workloads that do the same on all CPUs: each CPU is a worker with random numbers of its own, and
 * does `iters=` steps. What a worker does, and so the pins that it makes, depends on the seed
 * alone, not on the strategy nor on the other CPUs.
 *
 * For all of them: `free=` and `alias=` say which frames become page tables, `tables=` for how much
 * of vmalloc space there are tables before they begin.
 */
#ifndef WORKLOAD_WORKER_H
#define WORKLOAD_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <cpu.h>
#include <rng.h>

/* Each CPU's own; the boot CPU reads `wrong` when all are done. */
struct worker {
	__cacheline struct rng rng;
	unsigned cpu;
	uint64_t iters;
	const char *wrong; /* what went wrong, or NULL */
	uint64_t wrong_at; /* address */
	bool (*run)(struct worker *w);
};

/* What a workload consists of. Both return false when something went wrong, which worker_fail() has
 * noted. */
struct work_steps {
	bool (*step)(struct worker *w);
	bool (*finish)(struct worker *w); /* gives back all that is left */
};

/* Notes it. Returns false. */
bool worker_fail(struct worker *w, const char *what, uint64_t at);

/* Runs the steps on all CPUs, says what went wrong and how many tables were taken, prints the
 * totals. Returns the exit status. */
int run_workers(const char *name, const struct work_steps *steps, uint64_t default_iters);

/* Runs the function once on all CPUs and says what went wrong, if anything; returns if all is well.
 */
bool run_on_workers(const char *name, bool (*run)(struct worker *w), uint64_t default_iters);

/* For workloads that are made otherwise: options, and what became of the tables since. */
struct table_count {
	uint64_t taken, recycled, aliased;
};
struct table_count workload_begin(void);
/* After all else, and counted in workload_ticks: whoever puts work off pays for it, none of the
 * strategies gets away with what it leaves. What is held lazily is purged, and the host looks.
 * False if a frame could not be pinned. */
bool workload_settle(void);
void workload_end(const char *name, const struct table_count *before);

/* The steps of some, for those that are made of several. */
extern const struct work_steps process_steps, grow_steps, xfs_steps, mixed_steps, switch_steps;
/* After switch_steps: how many were done under which strategy. */
void switch_print(const char *name);

#endif

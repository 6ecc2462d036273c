/* SPDX-License-Identifier: MIT */
/*
 * Workloads that do the same on all CPUs: each CPU is a worker with random numbers of its own, and
 * makes `iters=` steps. What a worker does, and so which pins it makes, depends on the seed only,
 * not on the strategy or on other CPUs.
 *
 * For all of them: `free=` and `alias=` choose the frames that become page tables; `tables=` is the
 * amount of vmalloc space for which page tables are made before they begin.
 */
#ifndef WORKLOAD_WORKER_H
#define WORKLOAD_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <cpu.h>
#include <rng.h>

/* One for each CPU; the boot CPU reads `wrong` when all are done. */
struct worker {
	__cacheline struct rng rng;
	unsigned cpu;
	uint64_t iters;
	const char *wrong; /* the error, or NULL */
	uint64_t wrong_at; /* address */
	bool (*run)(struct worker *w);
};

/* The functions of a workload. Both return false after an error, which worker_fail() has noted. */
struct work_steps {
	bool (*step)(struct worker *w);
	bool (*finish)(struct worker *w); /* frees all that is left */
};

/* Notes an error. Returns false. */
bool worker_fail(struct worker *w, const char *what, uint64_t at);

/* Runs the steps on all CPUs, prints errors, the number of tables taken, and the totals. Returns
 * the exit status. */
int run_workers(const char *name, const struct work_steps *steps, uint64_t default_iters);

/* Runs the function once on all CPUs. Prints an error and exits, or returns. */
bool run_on_workers(const char *name, bool (*run)(struct worker *w), uint64_t default_iters);

/* For workloads without steps: the options, and the number of tables since. */
struct table_count {
	uint64_t taken, recycled, aliased;
};
struct table_count workload_begin(void);
/* At the end, and counted in workload_ticks, so that strategies which defer work pay for it: purges
 * all that is lazy, and has the host sync. Returns false if a frame could not be pinned. */
bool workload_settle(void);
void workload_end(const char *name, const struct table_count *before);

/* The steps of some workloads, for others that combine them. */
extern const struct work_steps process_steps, grow_steps, xfs_steps, mixed_steps, switch_steps;
/* After switch_steps: prints how many steps were made under which strategy. */
void switch_print(const char *name);

#endif

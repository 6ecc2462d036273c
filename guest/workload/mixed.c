/* SPDX-License-Identifier: MIT */
/* Everything at once: each step of each CPU is one of the other workloads'. */
#include <stdbool.h>
#include <stddef.h>

#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 100u

static const struct work_steps *const kinds[] = {&process_steps, &grow_steps, &xfs_steps};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool mixed_step(struct worker *w)
{
	return kinds[rng_below(&w->rng, NR_KINDS)]->step(w);
}

static bool mixed_finish(struct worker *w)
{
	bool good = true;

	for (unsigned i = 0; i < NR_KINDS; i++)
		good = kinds[i]->finish(w) && good;
	return good;
}

const struct work_steps mixed_steps = {.step = mixed_step, .finish = mixed_finish};

static int run_mixed(void)
{
	return run_workers("mixed", &mixed_steps, DEFAULT_ITERS);
}

WORKLOAD(mixed, "process, grow and xfs in turn, on all CPUs", run_mixed);

/* SPDX-License-Identifier: MIT */
/*
 * The strategy is changed, again and again and by every CPU, while all of them go on as in `mixed`.
 * Strategy none stays out of it: the host would have to look away, and to look back.
 */
#include <stdbool.h>
#include <stddef.h>

#include "console.h"
#include "cpu.h"
#include "flush.h"
#include "panic.h"
#include "smp.h"
#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 60u

static const char *const names[] = {
	"legacy", "eager", "nolazy", "eager-pte", "quicklist", "page-bit", "trap", "trap-range",
};

#define NR_NAMES (sizeof(names) / sizeof(names[0]))

/* How often each was switched to, by any CPU: atomic. */
static uint64_t counts[NR_NAMES];

static bool switch_step(struct worker *w)
{
	unsigned to = (unsigned)rng_below(&w->rng, 2 * NR_NAMES);

	if (to < NR_NAMES) {
		if (flush_strategy_set(names[to]))
			return worker_fail(w, "the strategy could not be changed", to);
		__atomic_fetch_add(&counts[to], 1, __ATOMIC_RELAXED);
	}
	return mixed_steps.step(w);
}

static int run_switch(void)
{
	const struct work_steps steps = {.step = switch_step, .finish = mixed_steps.finish};
	int status = run_workers("switch", &steps, DEFAULT_ITERS);

	for (unsigned i = 0; i < NR_NAMES; i++)
		kprintf("switch: %lu times to %s\n", counts[i], names[i]);
	return status;
}

WORKLOAD(switch, "change the strategy in mid-run, on all CPUs", run_switch);

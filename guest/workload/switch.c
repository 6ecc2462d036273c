/* SPDX-License-Identifier: MIT */
/*
 * Every CPU changes the strategy again and again, while all of them run `mixed`. Every other time
 * it only leaves a wish, as the host does, for the next pin call. Not with strategy none, which
 * can't be switched to or from.
 */
#include <stdbool.h>
#include <stddef.h>

#include "console.h"
#include "cpu.h"
#include "flush.h"
#include "pgtable.h"
#include "platform.h"
#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 60u

static const char *const names[ALIAS_NR_FLUSH] = {
	[ALIAS_FLUSH_LEGACY] = "legacy",       [ALIAS_FLUSH_EAGER] = "eager",
	[ALIAS_FLUSH_NOLAZY] = "nolazy",       [ALIAS_FLUSH_EAGER_PTE] = "eager-pte",
	[ALIAS_FLUSH_QUICKLIST] = "quicklist", [ALIAS_FLUSH_PAGE_BIT] = "page-bit",
	[ALIAS_FLUSH_TRAP] = "trap",           [ALIAS_FLUSH_TRAP_RANGE] = "trap-range",
};

/* How often each strategy was in use after a step, on any CPU; atomic. */
static uint64_t counts[ALIAS_NR_FLUSH];

static void want_strategy(unsigned strategy)
{
	struct alias_common_page *page = phys_to_virt(platform.shared_gpa);

	if (platform.has_host)
		__atomic_store_n(&page->wanted_strategy, strategy, __ATOMIC_RELEASE);
}

static bool switch_step(struct worker *w)
{
	unsigned to = 1 + (unsigned)rng_below(&w->rng, ALIAS_NR_FLUSH - 1);

	switch (rng_below(&w->rng, 4)) {
	case 0:
		if (flush_strategy_set(names[to]))
			return worker_fail(w, "the strategy could not be changed", to);
		break;
	case 1:
		want_strategy(to);
		break;
	}
	if (!mixed_steps.step(w))
		return false;
	__atomic_fetch_add(&counts[flush_strategy()->number], 1, __ATOMIC_RELAXED);
	return true;
}

static bool switch_finish(struct worker *w)
{
	return mixed_steps.finish(w);
}

const struct work_steps switch_steps = {.step = switch_step, .finish = switch_finish};

void switch_print(const char *name)
{
	for (unsigned i = 0; i < ALIAS_NR_FLUSH; i++)
		if (names[i])
			kprintf("%s: %lu steps with %s\n", name, counts[i], names[i]);
}

static int run_switch(void)
{
	int status = run_workers("switch", &switch_steps, DEFAULT_ITERS);

	switch_print("switch");
	return status;
}

WORKLOAD(switch, "change the strategy in mid-run, on all CPUs", run_switch);

/* SPDX-License-Identifier: MIT */
/*
 * A live address space grows by one table at a time, which batches can't make cheaper. Before each
 * table a small buffer is mapped and unmapped, so that something is always lazy.
 */
#include <stdbool.h>
#include <stddef.h>

#include "aspace.h"
#include "buffer.h"
#include "cpu.h"
#include "pgtable.h"
#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 200u
#define NR_TABLES     48u /* that an address space grows by before the next begins */
#define BUFFER_MOST   8u  /* pages */
#define FIRST_VA      0x400000ul
#define TABLE_SPAN    (2ul << 20)

/* Each CPU's own. */
static struct {
	__cacheline struct aspace as;
	unsigned grown;
} states[MAX_CPUS];

static bool grow_buffer(struct worker *w)
{
	unsigned nr = 1 + (unsigned)rng_below(&w->rng, BUFFER_MOST);
	struct buffer b;

	if (!buffer_map(w, &b, nr, rng_below(&w->rng, 2)) || !buffer_use(w, &b))
		return false;
	buffer_unmap(&b);
	return true;
}

static bool grow_finish(struct worker *w)
{
	struct aspace *as = &states[w->cpu].as;

	states[w->cpu].grown = 0;
	return !as->root_pfn || !aspace_destroy(as) ||
	       worker_fail(w, "an address space could not be taken down", 0);
}

static bool grow_step(struct worker *w)
{
	const struct aspace_range first = {.va = FIRST_VA, .nr_pages = 1};
	struct aspace *as = &states[w->cpu].as;
	uint64_t va = FIRST_VA + ++states[w->cpu].grown * TABLE_SPAN;
	bool good;

	if (!as->root_pfn && aspace_create(as, &first, 1))
		return worker_fail(w, "an address space could not be made", 0);
	if (!grow_buffer(w))
		return false;
	aspace_enter(as);
	good = !aspace_grow(as, va) && use_page(w, (volatile uint64_t *)va, aspace_frame(as, va));
	aspace_leave();
	if (!good && !w->wrong)
		worker_fail(w, "an address space could not grow", va);
	if (!good)
		return false;
	return states[w->cpu].grown < NR_TABLES || grow_finish(w);
}

const struct work_steps grow_steps = {.step = grow_step, .finish = grow_finish};

static int run_grow(void)
{
	return run_workers("grow", &grow_steps, DEFAULT_ITERS);
}

WORKLOAD(grow, "live address spaces grow one table at a time, on all CPUs", run_grow);

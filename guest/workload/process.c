/* SPDX-License-Identifier: MIT */
/*
 * An ordinary kernel's work, on every CPU: buffers are mapped, filled and unmapped; processes
 * start, grow and end. The frames of buffers become page tables of processes, with or without a
 * stale alias, by chance. All data is checked through a second mapping.
 */
#include <stdbool.h>
#include <stddef.h>

#include "aspace.h"
#include "buffer.h"
#include "cpu.h"
#include "pgtable.h"
#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 50u
#define NR_BUFFERS    8u /* mapped at once on a CPU, at most */
#define NR_SPACES     3u /* alive at once on a CPU, at most */
#define NR_RANGES     4u /* mapped in a new address space, at most */
#define RANGE_PAGES   12u
#define NR_GROWN      6u /* pages an address space grows by, at most */
#define REGION        (1ul << 30)

/* A program: its address space and what it has mapped there. */
struct process {
	struct aspace as;
	bool alive;
	unsigned nr_ranges;
	struct aspace_range ranges[NR_RANGES + NR_GROWN];
};

/* Each CPU's own. */
static struct cpu_state {
	__cacheline struct buffer buffers[NR_BUFFERS];
	struct process processes[NR_SPACES];
} states[MAX_CPUS];

static bool map_buffer(struct worker *w, struct buffer *b)
{
	/* Most are small. */
	unsigned most = rng_below(&w->rng, 8) ? 16 : BUFFER_PAGES;
	unsigned nr = 1 + (unsigned)rng_below(&w->rng, most);

	return buffer_map(w, b, nr, rng_below(&w->rng, 2)) && buffer_use(w, b);
}

/* An address space with code, heap and stack, somewhere far apart. */
static void choose_ranges(struct worker *w, struct process *p)
{
	uint64_t va = 0x400000;

	p->nr_ranges = 1 + (unsigned)rng_below(&w->rng, NR_RANGES);
	for (unsigned i = 0; i < p->nr_ranges; i++) {
		p->ranges[i].va = va;
		p->ranges[i].nr_pages = 1 + (unsigned)rng_below(&w->rng, RANGE_PAGES);
		va += REGION + rng_below(&w->rng, 1u << 16) * PAGE_SIZE;
	}
}

/* Within the address space. */
static bool use_ranges(struct worker *w, const struct process *p, unsigned first)
{
	for (unsigned i = first; i < p->nr_ranges; i++) {
		for (unsigned n = 0; n < p->ranges[i].nr_pages; n++) {
			uint64_t va = p->ranges[i].va + n * PAGE_SIZE;

			if (!use_page(w, (volatile uint64_t *)va, aspace_frame(&p->as, va)))
				return false;
		}
	}
	return true;
}

/* A page further up, mostly with a table of its own. */
static bool process_grow(struct worker *w, struct process *p)
{
	const struct aspace_range *last = &p->ranges[p->nr_ranges - 1];
	uint64_t va = last->va + last->nr_pages * PAGE_SIZE;

	va += (1 + rng_below(&w->rng, 3)) * (rng_below(&w->rng, 4) ? 2ul << 20 : REGION);
	if (aspace_grow(&p->as, va))
		return worker_fail(w, "an address space could not grow", va);
	p->ranges[p->nr_ranges++] = (struct aspace_range){.va = va, .nr_pages = 1};
	return use_ranges(w, p, p->nr_ranges - 1);
}

static bool start_process(struct worker *w, struct process *p)
{
	unsigned grown = (unsigned)rng_below(&w->rng, NR_GROWN + 1);
	bool good;

	choose_ranges(w, p);
	if (aspace_create(&p->as, p->ranges, p->nr_ranges))
		return worker_fail(w, "an address space could not be made", 0);
	p->alive = true;
	aspace_enter(&p->as);
	good = use_ranges(w, p, 0);
	while (good && grown--)
		good = process_grow(w, p);
	aspace_leave();
	return good;
}

static bool end_process(struct worker *w, struct process *p)
{
	p->alive = false;
	if (aspace_destroy(&p->as))
		return worker_fail(w, "an address space could not be taken down", 0);
	return true;
}

/* Some buffers come and some go; the frames of the last that goes are the next to be taken. */
static bool churn_buffers(struct worker *w, struct cpu_state *s)
{
	for (unsigned n = 1 + (unsigned)rng_below(&w->rng, NR_BUFFERS); n > 0; n--) {
		struct buffer *b = &s->buffers[rng_below(&w->rng, NR_BUFFERS)];

		if (b->addr)
			buffer_unmap(b);
		else if (!map_buffer(w, b))
			return false;
	}
	return true;
}

static bool process_step(struct worker *w)
{
	struct cpu_state *s = &states[w->cpu];
	struct process *p = &s->processes[rng_below(&w->rng, NR_SPACES)];

	if (!churn_buffers(w, s))
		return false;
	if (p->alive && !end_process(w, p))
		return false;
	return start_process(w, p);
}

static bool process_finish(struct worker *w)
{
	struct cpu_state *s = &states[w->cpu];
	bool good = true;

	for (unsigned i = 0; i < NR_SPACES; i++)
		if (s->processes[i].alive)
			good = end_process(w, &s->processes[i]) && good;
	for (unsigned i = 0; i < NR_BUFFERS; i++)
		if (s->buffers[i].addr)
			buffer_unmap(&s->buffers[i]);
	return good;
}

const struct work_steps process_steps = {.step = process_step, .finish = process_finish};

static int run_process(void)
{
	return run_workers("process", &process_steps, DEFAULT_ITERS);
}

WORKLOAD(process, "buffers come and go, processes come, grow and go, on all CPUs", run_process);

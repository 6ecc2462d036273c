/* SPDX-License-Identifier: MIT */
/*
 * What an ordinary kernel does all day, on every CPU: buffers are mapped, filled and unmapped, and
 * processes come, grow and go. The frames of the ones become the page tables of the others, with or
 * without a stale alias, as it falls out. All data is checked through a second mapping.
 */
#include <stdbool.h>
#include <stddef.h>

#include "aspace.h"
#include "bootargs.h"
#include "common.h"
#include "console.h"
#include "cpu.h"
#include "frame.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "rng.h"
#include "smp.h"
#include "vmap.h"
#include "workload.h"

#define DEFAULT_ITERS 50u
#define NR_BUFFERS    8u   /* mapped at once on a CPU, at most */
#define BUFFER_PAGES  100u /* of a buffer, at most; above VMAP_MAX_ALLOC it gets an area */
#define NR_SPACES     3u   /* alive at once on a CPU, at most */
#define NR_RANGES     4u   /* mapped in a new address space, at most */
#define RANGE_PAGES   12u
#define NR_GROWN      6u /* pages an address space grows by, at most */
#define REGION        (1ul << 30)

struct buffer {
	uint64_t *addr; /* NULL: none */
	unsigned nr;
	bool ram; /* by vm_map_ram() */
	uint64_t pfns[BUFFER_PAGES];
};

/* A program: its address space and what it has mapped there. */
struct process {
	struct aspace as;
	bool alive;
	unsigned nr_ranges;
	struct aspace_range ranges[NR_RANGES + NR_GROWN];
};

/* One CPU's; `wrong` is read by the boot CPU when all are done. */
static struct cpu_state {
	__cacheline struct rng rng;
	uint64_t iters;
	const char *wrong; /* what went wrong, or NULL */
	uint64_t wrong_at; /* address */
	struct buffer buffers[NR_BUFFERS];
	struct process processes[NR_SPACES];
} states[MAX_CPUS];

static bool fail(struct cpu_state *s, const char *what, uint64_t at)
{
	s->wrong = what;
	s->wrong_at = at;
	return false;
}

/* What is written at an address; differs between CPUs and from time to time. */
static uint64_t pattern(const struct cpu_state *s, uint64_t addr)
{
	return addr * 0x9e3779b97f4a7c15u ^ s->rng.state;
}

/* Writes through the mapping and reads through the direct map, then the other way round. */
static bool use_page(struct cpu_state *s, volatile uint64_t *mapped, uint64_t pfn)
{
	volatile uint64_t *direct = pfn_to_virt(pfn);
	uint64_t value = pattern(s, (uint64_t)mapped);
	unsigned last = PAGE_SIZE / sizeof(*mapped) - 1;

	mapped[0] = value;
	if (direct[0] != value)
		return fail(s, "a page doesn't hold what was written to it", (uint64_t)mapped);
	direct[last] = ~value;
	if (mapped[last] != ~value)
		return fail(s, "a mapping doesn't show its page", (uint64_t)mapped);
	return true;
}

static bool map_buffer(struct cpu_state *s, struct buffer *b)
{
	/* Most are small. */
	b->nr = 1 + (unsigned)rng_below(&s->rng, rng_below(&s->rng, 8) ? 16 : BUFFER_PAGES);
	b->ram = rng_below(&s->rng, 2);
	if (!take_frames(b->pfns, b->nr))
		return fail(s, "no frames for a buffer", 0);
	b->addr =
		b->ram ? vm_map_ram(b->pfns, b->nr, PTE_KERNEL) : vmap(b->pfns, b->nr, PTE_KERNEL);
	if (!b->addr)
		return fail(s, "a buffer could not be mapped", 0);
	for (unsigned i = 0; i < b->nr; i++)
		if (!use_page(s, b->addr + i * PTRS, b->pfns[i]))
			return false;
	return true;
}

static void unmap_buffer(struct buffer *b)
{
	if (b->ram)
		vm_unmap_ram(b->addr, b->nr);
	else
		vunmap(b->addr);
	b->addr = NULL;
	give_frames(b->pfns, b->nr);
}

/* An address space with code, heap and stack, somewhere far apart. */
static void choose_ranges(struct cpu_state *s, struct process *p)
{
	uint64_t va = 0x400000;

	p->nr_ranges = 1 + (unsigned)rng_below(&s->rng, NR_RANGES);
	for (unsigned i = 0; i < p->nr_ranges; i++) {
		p->ranges[i].va = va;
		p->ranges[i].nr_pages = 1 + (unsigned)rng_below(&s->rng, RANGE_PAGES);
		va += REGION + rng_below(&s->rng, 1u << 16) * PAGE_SIZE;
	}
}

/* Within the address space. */
static bool use_ranges(struct cpu_state *s, const struct process *p, unsigned first)
{
	for (unsigned i = first; i < p->nr_ranges; i++) {
		for (unsigned n = 0; n < p->ranges[i].nr_pages; n++) {
			uint64_t va = p->ranges[i].va + n * PAGE_SIZE;

			if (!use_page(s, (volatile uint64_t *)va, aspace_frame(&p->as, va)))
				return false;
		}
	}
	return true;
}

/* A page further up, mostly with a table of its own. */
static bool grow(struct cpu_state *s, struct process *p)
{
	const struct aspace_range *last = &p->ranges[p->nr_ranges - 1];
	uint64_t va = last->va + last->nr_pages * PAGE_SIZE;

	va += (1 + rng_below(&s->rng, 3)) * (rng_below(&s->rng, 4) ? 2ul << 20 : REGION);
	if (aspace_grow(&p->as, va))
		return fail(s, "an address space could not grow", va);
	p->ranges[p->nr_ranges++] = (struct aspace_range){.va = va, .nr_pages = 1};
	return use_ranges(s, p, p->nr_ranges - 1);
}

static bool start_process(struct cpu_state *s, struct process *p)
{
	unsigned grown = (unsigned)rng_below(&s->rng, NR_GROWN + 1);
	bool good;

	choose_ranges(s, p);
	if (aspace_create(&p->as, p->ranges, p->nr_ranges))
		return fail(s, "an address space could not be made", 0);
	p->alive = true;
	aspace_enter(&p->as);
	good = use_ranges(s, p, 0);
	while (good && grown--)
		good = grow(s, p);
	aspace_leave();
	return good;
}

static bool end_process(struct cpu_state *s, struct process *p)
{
	p->alive = false;
	if (aspace_destroy(&p->as))
		return fail(s, "an address space could not be taken down", 0);
	return true;
}

/* Some buffers come and some go; the frames of the last that goes are the next to be taken. */
static bool churn_buffers(struct cpu_state *s)
{
	for (unsigned n = 1 + (unsigned)rng_below(&s->rng, NR_BUFFERS); n > 0; n--) {
		struct buffer *b = &s->buffers[rng_below(&s->rng, NR_BUFFERS)];

		if (b->addr)
			unmap_buffer(b);
		else if (!map_buffer(s, b))
			return false;
	}
	return true;
}

static bool one_round(struct cpu_state *s)
{
	struct process *p = &s->processes[rng_below(&s->rng, NR_SPACES)];

	if (!churn_buffers(s))
		return false;
	if (p->alive && !end_process(s, p))
		return false;
	return start_process(s, p);
}

static void run_cpu(void *arg)
{
	struct cpu_state *s = &states[this_cpu()->id];

	(void)arg;
	for (uint64_t i = 0; i < s->iters && !s->wrong; i++)
		one_round(s);
	for (unsigned i = 0; i < NR_SPACES && !s->wrong; i++)
		if (s->processes[i].alive)
			end_process(s, &s->processes[i]);
	for (unsigned i = 0; i < NR_BUFFERS && !s->wrong; i++)
		if (s->buffers[i].addr)
			unmap_buffer(&s->buffers[i]);
}

static int run_process(void)
{
	uint64_t iters = arg_u64("iters", DEFAULT_ITERS), seed = arg_u64("seed", 1);
	bool good = true;

	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++) {
		states[cpu].rng = rng_init(seed, cpu);
		states[cpu].iters = iters;
	}
	smp_run_on_all(run_cpu, NULL);
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++) {
		if (!states[cpu].wrong)
			continue;
		kprintf("process: CPU %u: %s (%#lx)\n", cpu, states[cpu].wrong,
			states[cpu].wrong_at);
		good = false;
	}
	print_totals("process");
	return good ? EXIT_OK : EXIT_CHECK_FAILED;
}

WORKLOAD(process, "buffers come and go, processes come, grow and go, on all CPUs", run_process);

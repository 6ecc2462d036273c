/* SPDX-License-Identifier: MIT */
/*
 * As graphics drivers do: frames become uncached, write-combining or write-through memory, are
 * mapped and used as that, change the type again, and in the end become ordinary memory. Some still
 * have a stale mapping with the previous type. The frames are one block, of which each CPU has a
 * part; the leaves that map it in the direct map are split in advance, so that the number of tables
 * depends on nothing else. All data is checked through a second mapping, and so is the type of
 * both.
 */
#include <stdbool.h>
#include <stddef.h>

#include "bootargs.h"
#include "buffer.h"
#include "cpu.h"
#include "frame.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "set_memory.h"
#include "share.h"
#include "smp.h"
#include "vmap.h"
#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 50u
#define ORDER         4u
#define NR_FRAMES     (1u << ORDER) /* of each CPU */
#define STREAMS       2000ul /* the workers' random numbers, and those of tables, have lower ones */

static const enum memory_type types[] = {MEMORY_WB, MEMORY_WC, MEMORY_UC, MEMORY_WT};

#define NR_TYPES (sizeof(types) / sizeof(types[0]))

/* Each CPU's own. */
static struct cpu_state {
	__cacheline struct share share;
	uint64_t pfns[NR_FRAMES];
	enum memory_type type[NR_FRAMES];
} states[MAX_CPUS];

static uint64_t prot_of(enum memory_type type)
{
	return PTE_KERNEL | pte_of_memtype(type);
}

/* Those of the run that begins at `first` and has one type; up to `most`. */
static unsigned run_length(const struct cpu_state *s, unsigned first, unsigned most)
{
	unsigned n = 1;

	while (n < most && first + n < NR_FRAMES && s->type[first + n] == s->type[first])
		n++;
	return n;
}

static bool has_type(struct worker *w, const void *addr, enum memory_type type)
{
	pte_t pte = lookup_leaf(kernel_root_pfn(), (uint64_t)addr, NULL);

	return (pte & PTE_MEMTYPE) == pte_of_memtype(type) ||
	       worker_fail(w, "a mapping has another type than it should", (uint64_t)addr);
}

/* Changes the type; the content must stay. */
static bool pat_change(struct worker *w, struct cpu_state *s, unsigned first, unsigned n,
		       enum memory_type to)
{
	for (unsigned i = first; i < first + n; i++) {
		if (share_draw(&s->share))
			leave_alias(s->pfns[i], prot_of(s->type[i]));
		*(volatile uint64_t *)pfn_to_virt(s->pfns[i]) = ~s->pfns[i];
	}
	if (set_memory_type(s->pfns + first, n, to))
		return worker_fail(w, "a memory type could not be changed", s->pfns[first]);
	for (unsigned i = first; i < first + n; i++) {
		volatile uint64_t *direct = pfn_to_virt(s->pfns[i]);

		s->type[i] = to;
		if (*direct != ~s->pfns[i])
			return worker_fail(w, "a frame has lost what it held", (uint64_t)direct);
		if (!has_type(w, (const void *)direct, to))
			return false;
	}
	return true;
}

/* Uses the frames with their type; leaves a stale mapping of each. */
static bool pat_use(struct worker *w, const struct cpu_state *s, unsigned first, unsigned n)
{
	uint64_t *mapped = vmap(s->pfns + first, n, prot_of(s->type[first]));
	bool good = mapped;

	if (!mapped)
		return worker_fail(w, "a buffer could not be mapped", n);
	for (unsigned i = 0; good && i < n; i++)
		good = has_type(w, mapped + i * PTRS, s->type[first]) &&
		       use_page(w, mapped + i * PTRS, s->pfns[first + i]);
	vunmap(mapped);
	return good;
}

static bool pat_step(struct worker *w)
{
	struct cpu_state *s = &states[w->cpu];
	unsigned first = (unsigned)rng_below(&w->rng, NR_FRAMES);
	unsigned most = 1 + (unsigned)rng_below(&w->rng, NR_FRAMES);
	enum memory_type to = types[rng_below(&w->rng, NR_TYPES)];
	bool used = rng_below(&w->rng, 4) == 0 && !alias_is_chosen();
	unsigned n = run_length(s, first, most);

	return pat_change(w, s, first, n, to) && (!used || pat_use(w, s, first, n));
}

static bool pat_finish(struct worker *w)
{
	struct cpu_state *s = &states[w->cpu];

	for (unsigned first = 0, n; first < NR_FRAMES; first += n) {
		n = run_length(s, first, NR_FRAMES);
		if (!pat_change(w, s, first, n, MEMORY_WB))
			return false;
	}
	return true;
}

static void give_part(struct cpu_state *s, unsigned cpu, uint64_t first)
{
	s->share = share_init(arg_u64("seed", 1), STREAMS + cpu);
	for (unsigned i = 0; i < NR_FRAMES; i++) {
		s->pfns[i] = first + i;
		s->type[i] = MEMORY_WB;
		if (!walk_direct(first + i))
			panic("pat: the direct map of frame %#lx cannot be split", first + i);
	}
}

static int run_pat(void)
{
	static const struct work_steps steps = {.step = pat_step, .finish = pat_finish};
	unsigned order = ORDER;
	uint64_t block;
	int status;

	while (1u << (order - ORDER) < nr_cpus_online())
		order++;
	block = alloc_frames(order);
	if (block == NO_FRAME)
		panic("pat: no block of %u frames", 1u << order);
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		give_part(&states[cpu], cpu, block + cpu * NR_FRAMES);
	status = run_workers("pat", &steps, DEFAULT_ITERS);
	free_frames(block, order);
	return status;
}

WORKLOAD(pat, "frames become memory of other types and back, on all CPUs", run_pat);

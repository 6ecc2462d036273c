/* SPDX-License-Identifier: MIT */
/*
 * What drivers of graphics do: frames become uncached, write-combining or write-through memory, are
 * mapped and used as that, become another type, and in the end ordinary memory. Some still have a
 * forgotten mapping of the type before. Each CPU has a block of frames of its own, so that which
 * leaves of the direct map are split depends on nothing else. All data is checked through a second
 * mapping, and so is the type of both.
 */
#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "cpu.h"
#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "set_memory.h"
#include "share.h"
#include "vmap.h"
#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 50u
#define ORDER         4u
#define NR_FRAMES     (1u << ORDER)
#define STREAMS       2000ul /* the workers' random numbers, and those of tables, have lower ones */

static const enum memory_type types[] = {MEMORY_WB, MEMORY_WC, MEMORY_UC, MEMORY_WT};

#define NR_TYPES (sizeof(types) / sizeof(types[0]))

/* Each CPU's own. */
static struct cpu_state {
	__cacheline struct share share;
	uint64_t pfns[NR_FRAMES]; /* pfns[0] is NO_FRAME before the first step */
	enum memory_type type[NR_FRAMES];
} states[MAX_CPUS];

static bool begin(struct worker *w, struct cpu_state *s)
{
	uint64_t block = alloc_frames(ORDER);

	if (block == NO_FRAME)
		return worker_fail(w, "no block of frames", ORDER);
	s->share = share_init(w->seed, STREAMS + w->cpu);
	for (unsigned i = 0; i < NR_FRAMES; i++) {
		s->pfns[i] = block + i;
		s->type[i] = MEMORY_WB;
	}
	return true;
}

static uint64_t prot_of(enum memory_type type)
{
	return PTE_KERNEL | pte_of_type(type);
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

	return (pte & PTE_TYPE) == pte_of_type(type) ||
	       worker_fail(w, "a mapping has another type than it should", (uint64_t)addr);
}

/* What they hold outlives the change. */
static bool change(struct worker *w, struct cpu_state *s, unsigned first, unsigned n,
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

/* And so leaves a stale mapping of each. */
static bool use(struct worker *w, const struct cpu_state *s, unsigned first, unsigned n)
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
	unsigned n;

	if (!s->pfns[0] && !begin(w, s))
		return false;
	n = run_length(s, first, most);
	return change(w, s, first, n, to) && (!used || use(w, s, first, n));
}

static bool pat_finish(struct worker *w)
{
	struct cpu_state *s = &states[w->cpu];

	for (unsigned first = 0, n; s->pfns[0] && first < NR_FRAMES; first += n) {
		n = run_length(s, first, NR_FRAMES);
		if (!change(w, s, first, n, MEMORY_WB))
			return false;
	}
	if (s->pfns[0])
		free_frames(s->pfns[0], ORDER);
	s->pfns[0] = NO_FRAME;
	return true;
}

const struct work_steps pat_steps = {.step = pat_step, .finish = pat_finish};

static int run_pat(void)
{
	return run_workers("pat", &pat_steps, DEFAULT_ITERS);
}

WORKLOAD(pat, "frames become memory of other types and back, on all CPUs", run_pat);

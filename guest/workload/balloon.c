/* SPDX-License-Identifier: MIT */
/*
 * A balloon on each CPU: frames that were in use are inflated, some with a stale alias, and
 * deflated. With swing= that much memory is filled, inflated and deflated at once at the end, to
 * watch the host's memory.
 */
#include <stdbool.h>
#include <stddef.h>

#include "balloon.h"
#include "bootargs.h"
#include "common.h"
#include "console.h"
#include "cpu.h"
#include "frame.h"
#include "panic.h"
#include "pgtable.h"
#include "share.h"
#include "worker.h"
#include "workload.h"

BOOTARG(swing, "workload balloon: MiB to inflate and deflate at once at the end, default 0");
BOOTARG(wait, "workload balloon: 1: wait for a character after each step of swing=");

#define DEFAULT_ITERS 50u
#define NR_FRAMES     64u /* maximum in the balloon of a CPU at once */
#define STEP          16u /* maximum inflated or deflated in one step */
#define BLOCK_ORDER   8u  /* 1 MiB */
#define BLOCK_FRAMES  (1u << BLOCK_ORDER)
#define SWING_MAX     1024u
#define STREAMS       3000ul /* random streams of pat have lower numbers */

/* Each CPU's own. */
static struct cpu_state {
	__cacheline struct share share;
	bool begun;
	unsigned nr;
	uint64_t pfns[NR_FRAMES]; /* frames in the balloon */
} states[MAX_CPUS];

static void fill_block(uint64_t pfn)
{
	volatile uint64_t *words = pfn_to_virt(pfn);

	for (unsigned i = 0; i < PTRS; i++)
		words[i] = pfn + i;
}

static bool is_zero(uint64_t pfn)
{
	const uint64_t *words = pfn_to_virt(pfn);
	uint64_t any = 0;

	for (unsigned i = 0; i < PTRS; i++)
		any |= words[i];
	return !any;
}

static bool inflate_frames(struct worker *w, struct cpu_state *s, unsigned n)
{
	uint64_t *pfns = s->pfns + s->nr;

	if (!take_frames(pfns, n))
		return worker_fail(w, "no frames for the balloon", n);
	for (unsigned i = 0; i < n; i++) {
		fill_block(pfns[i]);
		if (share_draw(&s->share))
			leave_alias(pfns[i], PTE_KERNEL);
	}
	if (balloon_inflate(pfns, n))
		return worker_fail(w, "a frame could not be inflated", pfns[0]);
	s->nr += n;
	return true;
}

/* Deflates the last `n` frames. */
static bool deflate_frames(struct worker *w, struct cpu_state *s, unsigned n)
{
	uint64_t *pfns = s->pfns + s->nr - n;

	if (balloon_deflate(pfns, n))
		return worker_fail(w, "a frame did not come back", pfns[0]);
	for (unsigned i = 0; i < n; i++)
		if (!is_zero(pfns[i]))
			return worker_fail(w, "a frame came back with something in it", pfns[i]);
	give_frames(pfns, n);
	s->nr -= n;
	return true;
}

static bool balloon_step(struct worker *w)
{
	struct cpu_state *s = &states[w->cpu];
	unsigned n = 1 + (unsigned)rng_below(&w->rng, STEP);
	bool grows = rng_below(&w->rng, 2);

	if (!s->begun)
		s->share = share_init(arg_u64("seed", 1), STREAMS + w->cpu);
	s->begun = true;
	if (grows ? s->nr + n > NR_FRAMES : s->nr < n)
		grows = !grows;
	return grows ? inflate_frames(w, s, n) : deflate_frames(w, s, n);
}

static bool balloon_finish(struct worker *w)
{
	struct cpu_state *s = &states[w->cpu];

	return !s->nr || deflate_frames(w, s, s->nr);
}

/* --- in one go -------------------------------------------------------------------------------- */

static void wait_for_key(uint64_t mib, uint64_t first, const char *what)
{
	kprintf("balloon: %lu MiB %s, frame %#lx first\n", mib, what, first);
	if (arg_u64("wait", 0))
		console_getc();
}

/* Calls this for each block; returns false at the first failure. */
static bool with_blocks(const uint64_t *blocks, uint64_t nr,
			int (*fn)(const uint64_t *pfns, unsigned n))
{
	uint64_t pfns[BLOCK_FRAMES];

	for (uint64_t i = 0; i < nr; i++) {
		for (unsigned page = 0; page < BLOCK_FRAMES; page++)
			pfns[page] = blocks[i] + page;
		if (fn(pfns, BLOCK_FRAMES))
			return false;
	}
	return true;
}

static int fill_all(const uint64_t *pfns, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fill_block(pfns[i]);
	return 0;
}

static int expect_zeroes(const uint64_t *pfns, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!is_zero(pfns[i]))
			return -1;
	return 0;
}

static bool swing_memory(uint64_t mib)
{
	static uint64_t blocks[SWING_MAX];

	if (mib > SWING_MAX)
		arg_bad("swing", "no more than 1024 MiB");
	for (uint64_t i = 0; i < mib; i++) {
		blocks[i] = alloc_frames(BLOCK_ORDER);
		if (blocks[i] == NO_FRAME)
			arg_bad("swing", "as much as there is memory for");
	}
	with_blocks(blocks, mib, fill_all);
	wait_for_key(mib, blocks[0], "are in use");
	if (!with_blocks(blocks, mib, balloon_inflate))
		return false;
	wait_for_key(mib, blocks[0], "are in the balloon");
	if (!with_blocks(blocks, mib, balloon_deflate))
		return false;
	wait_for_key(mib, blocks[0], "are back");
	return with_blocks(blocks, mib, expect_zeroes);
}

static int run_balloon(void)
{
	static const struct work_steps steps = {.step = balloon_step, .finish = balloon_finish};
	int status = run_workers("balloon", &steps, DEFAULT_ITERS);
	uint64_t mib = arg_u64("swing", 0);

	if (status == EXIT_OK && mib && !swing_memory(mib))
		status = EXIT_CHECK_FAILED;
	return status;
}

WORKLOAD(balloon, "frames go to the host and come back, on all CPUs", run_balloon);

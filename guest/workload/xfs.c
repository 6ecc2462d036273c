/* SPDX-License-Identifier: MIT */
/*
 * A file system's buffers: 16 to 64 pages, mapped by vm_map_ram(), some for long, some for a short
 * look; read from the disk if there is one. Short-lived processes reuse the frames of freed
 * buffers. The content of a buffer is summed up when it is read and before it is freed.
 */
#include <stdbool.h>
#include <stddef.h>

#include "aspace.h"
#include "blk.h"
#include "buffer.h"
#include "cpu.h"
#include "pgtable.h"
#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 50u
#define NR_LONG       6u /* buffers kept by a CPU */
#define NR_CHURN      4u /* that come and go in one step, at most */
#define PAGES_LEAST   16u
#define PAGES_MOST    64u
#define READ_PAGES    16u /* in one request */
#define PAGE_SECTORS  (PAGE_SIZE / BLK_SECTOR)
#define PROCESS_VA    0x400000ul
#define PROCESS_STEP  (1ul << 30)
#define LINE_WORDS    8u /* words from one that is summed to the next */

/* Each CPU's own. */
static struct {
	__cacheline struct buffer buffers[NR_LONG];
	uint64_t sums[NR_LONG];
} states[MAX_CPUS];

static uint64_t sum_words(const volatile uint64_t *words, unsigned nr)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < nr; i += LINE_WORDS)
		sum = sum * 31 + words[i];
	return sum;
}

/* The same through the mapping and through the direct map. */
static bool sum_buffer(struct worker *w, const struct buffer *b, uint64_t *sum)
{
	*sum = 0;
	for (unsigned i = 0; i < b->nr; i++) {
		uint64_t mapped = sum_words(b->addr + i * PTRS, PTRS);

		if (mapped != sum_words(pfn_to_virt(b->pfns[i]), PTRS))
			return worker_fail(w, "a buffer doesn't show its pages",
					   (uint64_t)(b->addr + i * PTRS));
		*sum = *sum * 31 + mapped;
	}
	return true;
}

/* Pages of the disk, one after the other, from anywhere. */
static bool read_pages(struct worker *w, const uint64_t *pfns, unsigned nr)
{
	uint64_t nr_sectors = nr * PAGE_SECTORS, room = blk_capacity() - nr_sectors;
	struct blk_seg segs[READ_PAGES];

	for (unsigned i = 0; i < nr; i++)
		segs[i] = (struct blk_seg){.gpa = pfns[i] << PAGE_SHIFT, .len = PAGE_SIZE};
	return blk_read(rng_below(&w->rng, room + 1), segs, nr) == BLK_OK ||
	       worker_fail(w, "I/O error", 0);
}

static bool fill_buffer(struct worker *w, const struct buffer *b)
{
	if (!blk_present() || blk_capacity() < READ_PAGES * PAGE_SECTORS)
		return buffer_use(w, b);
	for (unsigned i = 0; i < b->nr; i += READ_PAGES) {
		unsigned nr = b->nr - i < READ_PAGES ? b->nr - i : READ_PAGES;

		if (!read_pages(w, b->pfns + i, nr))
			return false;
	}
	return true;
}

static bool get_buffer(struct worker *w, struct buffer *b, uint64_t *sum)
{
	unsigned nr = PAGES_LEAST + (unsigned)rng_below(&w->rng, PAGES_MOST - PAGES_LEAST + 1);

	return buffer_map(w, b, nr, true) && fill_buffer(w, b) && sum_buffer(w, b, sum);
}

static bool put_buffer(struct worker *w, struct buffer *b, uint64_t expected)
{
	uint64_t sum;
	bool good = sum_buffer(w, b, &sum);

	if (good && sum != expected)
		good = worker_fail(w, "a buffer has changed", (uint64_t)b->addr);
	buffer_unmap(b);
	return good;
}

/* One of those that are kept makes room for another. */
static bool replace_long(struct worker *w)
{
	unsigned i = (unsigned)rng_below(&w->rng, NR_LONG);
	struct buffer *b = &states[w->cpu].buffers[i];

	if (b->addr && !put_buffer(w, b, states[w->cpu].sums[i]))
		return false;
	return get_buffer(w, b, &states[w->cpu].sums[i]);
}

static bool xfs_short_buffers(struct worker *w)
{
	for (unsigned n = 1 + (unsigned)rng_below(&w->rng, NR_CHURN); n > 0; n--) {
		struct buffer b;
		uint64_t sum;

		if (!get_buffer(w, &b, &sum) || !put_buffer(w, &b, sum))
			return false;
	}
	return true;
}

static bool xfs_run_process(struct worker *w)
{
	struct aspace_range ranges[3];
	unsigned nr = 1 + (unsigned)rng_below(&w->rng, 3);
	struct aspace as;
	bool good = true;

	for (unsigned i = 0; i < nr; i++)
		ranges[i] =
			(struct aspace_range){.va = PROCESS_VA + i * PROCESS_STEP, .nr_pages = 2};
	if (aspace_create(&as, ranges, nr))
		return worker_fail(w, "an address space could not be made", 0);
	aspace_enter(&as);
	for (unsigned i = 0; i < nr && good; i++)
		good = use_page(w, (volatile uint64_t *)ranges[i].va,
				aspace_frame(&as, ranges[i].va));
	aspace_leave();
	return (!aspace_destroy(&as) ||
		worker_fail(w, "an address space could not be taken down", 0)) &&
	       good;
}

static bool xfs_step(struct worker *w)
{
	if (rng_below(&w->rng, 4) == 0 && !replace_long(w))
		return false;
	return xfs_short_buffers(w) && xfs_run_process(w);
}

static bool xfs_finish(struct worker *w)
{
	bool good = true;

	for (unsigned i = 0; i < NR_LONG; i++)
		if (states[w->cpu].buffers[i].addr)
			good = put_buffer(w, &states[w->cpu].buffers[i], states[w->cpu].sums[i]) &&
			       good;
	return good;
}

const struct work_steps xfs_steps = {.step = xfs_step, .finish = xfs_finish};

static int run_xfs(void)
{
	return run_workers("xfs", &xfs_steps, DEFAULT_ITERS);
}

WORKLOAD(xfs, "buffers of 16 to 64 pages, long-lived and churning, on all CPUs", run_xfs);

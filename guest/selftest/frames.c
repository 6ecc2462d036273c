/* SPDX-License-Identifier: MIT */
#include <stdbool.h>

#include "cpu.h"
#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "rng.h"
#include "selftest.h"
#include "smp.h"

#define NR_FRAMES 200u

static void frames_hold_what_is_written(struct selftest_result *r)
{
	uint64_t free = frames_free_count(), pfns[NR_FRAMES];

	for (unsigned i = 0; i < NR_FRAMES; i++) {
		pfns[i] = alloc_frame();
		EXPECT(r, pfns[i] != NO_FRAME);
		*(uint64_t *)pfn_to_virt(pfns[i]) = i;
	}
	EXPECT(r, frames_free_count() == free - NR_FRAMES);
	for (unsigned i = 0; i < NR_FRAMES; i++) {
		EXPECT(r, *(uint64_t *)pfn_to_virt(pfns[i]) == i);
		free_frame(pfns[i]);
	}
	EXPECT(r, frames_free_count() == free);
}
SELFTEST(frames_hold_what_is_written, frames_hold_what_is_written);

static void frames_last_freed_is_next(struct selftest_result *r)
{
	uint64_t a = alloc_frame(), b = alloc_frame();

	free_frame(a);
	free_frame(b);
	EXPECT(r, alloc_frame() == b);
	EXPECT(r, alloc_frame() == a);
	free_frame(a);
	free_frame(b);
}
SELFTEST(frames_last_freed_is_next, frames_last_freed_is_next);

static void frames_of_every_order(struct selftest_result *r)
{
	uint64_t free = frames_free_count(), pfns[10];

	for (unsigned order = 0; order < 10; order++) {
		pfns[order] = alloc_frames(order);
		EXPECT(r, pfns[order] != NO_FRAME);
		EXPECT(r, !(pfns[order] & ((1ul << order) - 1)));
	}
	EXPECT(r, frames_free_count() == free - 1023);
	for (unsigned order = 0; order < 10; order++)
		free_frames(pfns[order], order);
	EXPECT(r, frames_free_count() == free);
}
SELFTEST(frames_of_every_order, frames_of_every_order);

/* Each CPU's own. */
static bool mixed_up[MAX_CPUS];

/* Takes and gives at random; a frame that two CPUs have at once loses one of their marks. */
static void churn_frames(void *arg)
{
	unsigned me = this_cpu()->id;
	struct rng rng = rng_init(1, me);
	uint64_t pfns[64] = {0};

	(void)arg;
	mixed_up[me] = false;
	for (unsigned step = 0; step < 4000; step++) {
		unsigned i = (unsigned)rng_below(&rng, 64);
		volatile uint64_t *mark = pfn_to_virt(pfns[i]);

		if (pfns[i]) {
			mixed_up[me] |= mark[0] != pfns[i] || mark[1] != me;
			free_frame(pfns[i]);
			pfns[i] = 0;
			continue;
		}
		pfns[i] = alloc_frame();
		if (pfns[i] == NO_FRAME)
			continue;
		mark = pfn_to_virt(pfns[i]);
		mark[0] = pfns[i];
		mark[1] = me;
	}
	for (unsigned i = 0; i < 64; i++)
		if (pfns[i])
			free_frame(pfns[i]);
}

static void frames_on_all_cpus(struct selftest_result *r)
{
	uint64_t free = frames_free_count();

	smp_run_on_all(churn_frames, NULL);
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		EXPECT(r, !mixed_up[cpu]);
	EXPECT(r, frames_free_count() == free);
}
SELFTEST(frames_on_all_cpus, frames_on_all_cpus);

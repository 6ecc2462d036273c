/* SPDX-License-Identifier: MIT */
/* Nothing but vmap and vunmap, on one CPU: what these two cost, and that they never leave the
 * guest. */
#include <bootargs.h>
#include <console.h>
#include <frame.h>
#include <panic.h>
#include <pgtable.h>
#include <vmap.h>
#include <workload.h>

#define PAGES 4u

static int run_vmaponly(void)
{
	uint64_t iters = arg_u64("iters", 1000), pfns[PAGES], ticks;

	for (unsigned i = 0; i < PAGES; i++) {
		pfns[i] = alloc_frame();
		if (pfns[i] == NO_FRAME)
			return EXIT_CHECK_FAILED;
	}
	ticks = rdtsc();
	for (uint64_t i = 0; i < iters; i++) {
		uint64_t *mapped = vmap(pfns, PAGES, PTE_KERNEL);

		if (!mapped)
			return EXIT_CHECK_FAILED;
		*mapped = i;
		vunmap(mapped);
	}
	ticks = rdtsc() - ticks;
	kprintf("vmaponly: %lu x vmap, touch and vunmap of %u pages: %lu TSC ticks each\n", iters,
		PAGES, iters ? ticks / iters : 0);
	return EXIT_OK;
}

WORKLOAD(vmaponly, "vmap and vunmap alone, iters= times", run_vmaponly);

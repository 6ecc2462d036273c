/* SPDX-License-Identifier: MIT */
/* Pins of frames that never had an alias, iters= on each CPU: what a pin costs when all is well. */
#include <stdbool.h>

#include "bootargs.h"
#include "common.h"
#include "console.h"
#include "cpu.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"
#include "smp.h"
#include "workload.h"

/* Each CPU writes its own; the boot CPU reads them when all are done. */
static bool failed[MAX_CPUS];

static void pin_many(void *arg)
{
	const uint64_t *iters = arg;

	for (uint64_t i = 0; i < *iters; i++) {
		uint64_t pfn = alloc_table();

		if (pfn == NO_FRAME || pin_table(pfn, 1) || unpin_table(pfn)) {
			failed[this_cpu()->id] = true;
			return;
		}
		free_table(pfn);
	}
}

static int run_cleanpin(void)
{
	uint64_t iters = arg_u64("iters", 1000);
	struct alias_guest_stats t;

	smp_run_on_all(pin_many, &iters);
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++) {
		if (failed[cpu]) {
			kprintf("cleanpin: CPU %u could not pin a clean frame\n", cpu);
			return EXIT_CHECK_FAILED;
		}
	}
	t = total_stats();
	if (t.upcalls || t.purges) {
		kprintf("cleanpin: %lu upcalls and %lu purges for clean frames\n", t.upcalls,
			t.purges);
		return EXIT_CHECK_FAILED;
	}
	kprintf("cleanpin: %lu frames pinned and unpinned on each of %u CPUs, no upcall, no "
		"purge\n",
		iters, nr_cpus_online());
	return EXIT_OK;
}

WORKLOAD(cleanpin, "pin iters= frames that never had an alias", run_cleanpin);

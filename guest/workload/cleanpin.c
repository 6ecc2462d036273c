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
#include "worker.h"
#include "workload.h"

BOOTARG(batch, "workload cleanpin: tables pinned in one call, default 1");

/* Each CPU writes its own; the boot CPU reads them when all are done. */
static bool failed[MAX_CPUS];

struct task {
	uint64_t iters;
	unsigned batch; /* tables pinned in one call, and unpinned in another */
};

/* One call to the host for all of them. */
static bool cleanpin_call(const uint64_t *pfns, unsigned n, enum pin_op op)
{
	struct pin_list list;

	pin_list_init(&list);
	for (unsigned i = 0; i < n; i++)
		pin_list_add(&list, pfns[i], 1, op);
	return !pin_list_submit(&list);
}

static bool pin_once(unsigned batch)
{
	uint64_t pfns[ALIAS_BATCH_MAX];
	bool good = true;

	for (unsigned i = 0; i < batch; i++) {
		pfns[i] = alloc_table();
		if (pfns[i] == NO_FRAME)
			panic("cleanpin: no memory for %u tables", batch);
	}
	good = cleanpin_call(pfns, batch, PIN_OP_PIN) && cleanpin_call(pfns, batch, PIN_OP_UNPIN);
	for (unsigned i = batch; good && i > 0; i--)
		free_table(pfns[i - 1]);
	return good;
}

static void pin_many(void *arg)
{
	const struct task *task = arg;

	for (uint64_t i = 0; i < task->iters && !failed[this_cpu()->id]; i++)
		failed[this_cpu()->id] = !pin_once(task->batch);
}

static unsigned chosen_batch(void)
{
	uint64_t batch = arg_u64("batch", 1);

	if (batch < 1 || batch > ALIAS_BATCH_MAX)
		arg_bad("batch", "how many tables fit into one call");
	return (unsigned)batch;
}

static int run_cleanpin(void)
{
	struct task task = {.iters = arg_u64("iters", 1000), .batch = chosen_batch()};
	struct alias_guest_stats t;

	workload_begin();
	smp_run_on_all(pin_many, &task);
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
		task.iters * task.batch, nr_cpus_online());
	return EXIT_OK;
}

WORKLOAD(cleanpin, "pin iters= frames that never had an alias", run_cleanpin);

/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <stddef.h>
#include <string.h>

#include "bootargs.h"
#include "common.h"
#include "console.h"
#include "cpu.h"
#include "flush.h"
#include "frame.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"
#include "smp.h"
#include "tables.h"
#include "vmap.h"

BOOTARG(free, "frames freed on a CPU are taken again there: lifo (default), fifo");
BOOTARG(tables, "MiB of vmalloc space with page tables before the workload begins, "
		"default 32 and 16 for each CPU");

#define TABLE_SPAN (2ul << 20)

static struct worker workers[MAX_CPUS];

/* Those of this run; written before the workers start. */
static const struct work_steps *steps;

bool worker_fail(struct worker *w, const char *what, uint64_t at)
{
	w->wrong = what;
	w->wrong_at = at;
	return false;
}

static enum frame_order chosen_order(void)
{
	const char *name = arg_str("free");

	if (!name || !strcmp(name, "lifo"))
		return FRAME_LIFO;
	if (strcmp(name, "fifo"))
		arg_bad("free", "lifo or fifo");
	return FRAME_FIFO;
}

/* How far into vmalloc space a run gets depends on when its strategy purges: without this, so would
 * the number of tables that are pinned on the way. */
static void make_tables(void)
{
	uint64_t bytes = arg_u64("tables", 32 + 16 * nr_cpus_online()) << 20;

	for (uint64_t at = 0; at < bytes; at += TABLE_SPAN)
		if (VMALLOC_START + at >= VMALLOC_END || !walk_kernel(VMALLOC_START + at, true))
			arg_bad("tables", "as much as there are addresses and memory for");
}

static struct table_count count_tables(void)
{
	struct alias_guest_stats t = total_stats();

	return (struct table_count){t.tables, t.tables_recycled, t.tables_aliased};
}

struct table_count workload_begin(void)
{
	make_tables();
	frame_set_order(chosen_order());
	tables_init(arg_u64("seed", 1));
	return count_tables();
}

static void print_share(const char *what, uint64_t part, uint64_t whole)
{
	uint64_t tenths = whole ? (part * 1000 + whole / 2) / whole : 0;

	kprintf(", %lu (%lu.%lu %%) %s", part, tenths / 10, tenths % 10, what);
}

void workload_end(const char *name, const struct table_count *before)
{
	struct table_count now = count_tables();
	uint64_t taken = now.taken - before->taken;

	print_totals(name);
	kprintf("%s: %lu tables taken", name, taken);
	print_share("from frames vmapped before", now.recycled - before->recycled, taken);
	print_share("still mapped there", now.aliased - before->aliased, taken);
	kprintf("\n");
}

static void run_worker(void *arg)
{
	struct worker *w = &workers[this_cpu()->id];

	(void)arg;
	w->run(w);
}

bool workload_settle(void)
{
	uint64_t since = rdtsc(), pfn;
	bool good;

	strategy_read_lock();
	vm_unmap_aliases();
	strategy_read_unlock();
	pfn = alloc_table();
	good = pfn != NO_FRAME && !pin_table(pfn, 1) && !unpin_table(pfn);
	if (good)
		free_table(pfn);
	count_stat(workload_ticks, rdtsc() - since);
	return good;
}

bool run_on_workers(const char *name, bool (*run)(struct worker *w), uint64_t default_iters)
{
	uint64_t iters = arg_u64("iters", default_iters), seed = arg_u64("seed", 1);
	bool good;

	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		workers[cpu] = (struct worker){
			.rng = rng_init(seed, cpu), .cpu = cpu, .iters = iters, .run = run};
	smp_run_on_all(run_worker, NULL);
	good = workload_settle();
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++) {
		if (!workers[cpu].wrong)
			continue;
		kprintf("%s: CPU %u: %s (%#lx)\n", name, cpu, workers[cpu].wrong,
			workers[cpu].wrong_at);
		good = false;
	}
	return good;
}

static bool do_steps(struct worker *w)
{
	bool good = true;

	for (uint64_t i = 0; good && i < w->iters; i++)
		good = steps->step(w);
	return good && steps->finish(w);
}

int run_workers(const char *name, const struct work_steps *of, uint64_t default_iters)
{
	struct table_count before = workload_begin();
	bool good;

	steps = of;
	good = run_on_workers(name, do_steps, default_iters);
	workload_end(name, &before);
	return good ? EXIT_OK : EXIT_CHECK_FAILED;
}

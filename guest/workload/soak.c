/* SPDX-License-Identifier: MIT */
/*
 * Many pins on all CPUs, while strategies change. Most come from storms: a buffer is mapped and
 * unmapped, and its frames become page tables while they still have a stale alias, pinned and
 * unpinned in full batches, again and again. Between storms there are steps of `switch`. Now and
 * then a pinned page table is mapped writable: the host must report each of these, and nothing
 * else.
 */
#include <stdbool.h>
#include <stddef.h>

#include "bootargs.h"
#include "buffer.h"
#include "console.h"
#include "cpu.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"
#include "smp.h"
#include "vmap.h"
#include "worker.h"
#include "workload.h"

BOOTARG(pins, "workload soak: number of pins, default 100000");
BOOTARG(violate,
	"workload soak: one pinned page table is mapped writable every so many storms of a "
	"CPU, default 100; 0: never");

#define DEFAULT_PINS    100000u
#define DEFAULT_VIOLATE 100u
#define SWITCH_EVERY    8u  /* storms, on average */
#define ROUNDS          16u /* of a storm, at most */
#define BUFFER_MOST     64u /* pages */

/* Written before the workers start. */
static struct {
	uint64_t pins; /* of each CPU */
	uint64_t violate;
} goal;

/* Each CPU's own; the boot CPU reads it when all are done. */
static struct {
	__cacheline uint64_t storms, violations;
} done[MAX_CPUS];

/* While a page table is mapped writable, the host refuses every new root, which would map it, too.
 * So no address space may be created then: steps of `switch` and violations exclude each other.
 * Both members are atomic, sequentially consistent. */
static struct {
	bool violating;
	unsigned switching; /* CPUs within a step */
} gate;

static void gate_enter(void)
{
	for (;;) {
		__atomic_fetch_add(&gate.switching, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&gate.violating, __ATOMIC_SEQ_CST))
			return;
		__atomic_fetch_sub(&gate.switching, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&gate.violating, __ATOMIC_SEQ_CST))
			cpu_relax();
	}
}

static void gate_leave(void)
{
	__atomic_fetch_sub(&gate.switching, 1, __ATOMIC_SEQ_CST);
}

/* With interrupts on: others may want this CPU to flush meanwhile. */
static void gate_close(void)
{
	while (__atomic_exchange_n(&gate.violating, true, __ATOMIC_SEQ_CST))
		cpu_relax();
	while (__atomic_load_n(&gate.switching, __ATOMIC_SEQ_CST))
		cpu_relax();
}

static void gate_open(void)
{
	__atomic_store_n(&gate.violating, false, __ATOMIC_SEQ_CST);
}

static bool soak_call(const uint64_t *pfns, unsigned n, enum pin_op op)
{
	struct pin_list list;

	pin_list_init(&list);
	for (unsigned i = 0; i < n; i++)
		pin_list_add(&list, pfns[i], 1, op);
	return !pin_list_submit(&list);
}

static bool soak_buffer(struct worker *w)
{
	unsigned nr = 1 + (unsigned)rng_below(&w->rng, BUFFER_MOST);
	struct buffer b;

	if (!buffer_map(w, &b, nr, rng_below(&w->rng, 2)) || !buffer_use(w, &b))
		return false;
	buffer_unmap(&b);
	return true;
}

static bool soak_storm(struct worker *w)
{
	uint64_t rounds = 1 + rng_below(&w->rng, ROUNDS);
	uint64_t pfns[ALIAS_BATCH_MAX];
	bool good = true;

	if (!soak_buffer(w))
		return false;
	for (unsigned i = 0; i < ALIAS_BATCH_MAX; i++) {
		pfns[i] = alloc_table();
		if (pfns[i] == NO_FRAME)
			panic("soak: no memory for %u tables", ALIAS_BATCH_MAX);
	}
	while (good && rounds--)
		good = soak_call(pfns, ALIAS_BATCH_MAX, PIN_OP_PIN) &&
		       soak_call(pfns, ALIAS_BATCH_MAX, PIN_OP_UNPIN);
	for (unsigned i = ALIAS_BATCH_MAX; good && i > 0; i--)
		free_table(pfns[i - 1]);
	done[w->cpu].storms++;
	return good || worker_fail(w, "a batch was refused", pfns[0]);
}

/* The host syncs at the next pin, of any frame. The alias is purged before the frame is freed, so
 * that the frame is clean then. */
static bool soak_violate(struct worker *w)
{
	uint64_t table = alloc_table(), next = alloc_table();
	void *alias;

	if (table == NO_FRAME || next == NO_FRAME || pin_table(table, 1))
		return worker_fail(w, "no table to map writable", 0);
	alias = vmap(&table, 1, PTE_KERNEL);
	if (!alias || pin_table(next, 1))
		return worker_fail(w, "a page table could not be mapped writable", table);
	vunmap(alias);
	vm_unmap_aliases();
	if (unpin_table(next) || unpin_table(table))
		return worker_fail(w, "a page table could not be unpinned", table);
	free_table(next);
	free_table(table);
	done[w->cpu].violations++;
	return true;
}

static bool switch_step_apart(struct worker *w)
{
	bool good;

	gate_enter();
	good = switch_steps.step(w);
	gate_leave();
	return good;
}

static bool violate_apart(struct worker *w)
{
	bool good;

	gate_close();
	good = soak_violate(w);
	gate_open();
	return good;
}

static bool soak_worker(struct worker *w)
{
	bool good = true;

	while (good && this_cpu()->stats->pins < goal.pins) {
		good = soak_storm(w);
		if (good && !rng_below(&w->rng, SWITCH_EVERY))
			good = switch_step_apart(w);
		if (good && goal.violate && done[w->cpu].storms % goal.violate == 0)
			good = violate_apart(w);
	}
	return good && switch_steps.finish(w);
}

static int run_soak(void)
{
	struct table_count before = workload_begin();
	uint64_t violations = 0;
	bool good;

	goal.pins = arg_u64("pins", DEFAULT_PINS) / nr_cpus_online();
	goal.violate = arg_u64("violate", DEFAULT_VIOLATE);
	good = run_on_workers("soak", soak_worker, 1);
	workload_end("soak", &before);
	switch_print("soak");
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		violations += done[cpu].violations;
	kprintf("soak: %lu page tables were mapped writable\n", violations);
	return good ? EXIT_OK : EXIT_CHECK_FAILED;
}

WORKLOAD(soak, "pins=, violate=: very many pins, strategies changing, on all CPUs", run_soak);

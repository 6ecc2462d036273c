/* SPDX-License-Identifier: MIT */
#include "tables.h"

#include <stdbool.h>
#include <stddef.h>

#include "cpu.h"
#include "frame.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "rng.h"
#include "share.h"
#include "smp.h"

#define NR_CLEAN 256u   /* frames for each CPU that are never vmapped */
#define STREAMS  1000ul /* the workers' random numbers have lower ones */

/* Each CPU's own. Lists are linked through the first word of the frames. */
static struct pool {
	__cacheline struct share share;
	uint64_t clean, vmapped; /* first pfn, or NO_FRAME */
	uint64_t next;           /* the frame to be taken, or NO_FRAME */
	bool preparing;
} pools[MAX_CPUS];

static void pool_push(uint64_t *list, uint64_t pfn)
{
	*(uint64_t *)pfn_to_virt(pfn) = *list;
	*list = pfn;
}

static uint64_t pool_pop(uint64_t *list)
{
	uint64_t pfn = *list;

	if (pfn != NO_FRAME)
		*list = *(uint64_t *)pfn_to_virt(pfn);
	return pfn;
}

static uint64_t new_frame(unsigned flags)
{
	uint64_t pfn = alloc_frame();

	if (pfn != NO_FRAME)
		pfn_to_page(pfn)->flags |= flags;
	return pfn;
}

static void pool_give(uint64_t pfn)
{
	struct pool *pool = &pools[this_cpu()->id];
	bool clean = pfn_to_page(pfn)->flags & PAGE_NEVER_VMAPPED;

	pool_push(clean ? &pool->clean : &pool->vmapped, pfn);
}

static uint64_t next_frame(struct pool *pool, bool aliased)
{
	uint64_t pfn = pool_pop(aliased ? &pool->vmapped : &pool->clean);

	if (pfn == NO_FRAME && aliased)
		pfn = new_frame(PAGE_FOR_TABLES);
	if (pfn == NO_FRAME)
		panic("alias=: no %s frame is left", aliased ? "other" : "clean");
	if (aliased)
		leave_alias(pfn, PTE_KERNEL);
	return pfn;
}

/* Mapping may need tables, too: they are taken as any frame. */
static void pool_prepare(void)
{
	struct pool *pool = &pools[this_cpu()->id];

	if (pool->preparing)
		return;
	if (pool->next != NO_FRAME)
		pool_give(pool->next);
	pool->next = NO_FRAME;
	pool->preparing = true;
	pool->next = next_frame(pool, share_draw(&pool->share));
	pool->preparing = false;
}

static uint64_t pool_take(void)
{
	struct pool *pool = &pools[this_cpu()->id];
	uint64_t pfn = pool->preparing ? NO_FRAME : pool->next;

	if (pfn == NO_FRAME)
		return alloc_frame();
	pool->next = NO_FRAME;
	return pfn;
}

static const struct table_source pool_source = {
	.prepare = pool_prepare, .take = pool_take, .give = pool_give};

static void fill_pool(struct pool *pool)
{
	for (unsigned i = 0; i < NR_CLEAN; i++) {
		uint64_t pfn = new_frame(PAGE_FOR_TABLES | PAGE_NEVER_VMAPPED);

		if (pfn == NO_FRAME)
			panic("alias=: no memory for %u frames", NR_CLEAN);
		pool_push(&pool->clean, pfn);
	}
}

void tables_init(uint64_t seed)
{
	if (!alias_is_chosen())
		return;
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++) {
		pools[cpu].share = share_init(seed, STREAMS + cpu);
		fill_pool(&pools[cpu]);
	}
	set_table_source(&pool_source);
}

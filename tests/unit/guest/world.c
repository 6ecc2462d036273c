/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bootargs.h"
#include "frame.h"
#include "log.h"
#include "panic.h"
#include "percpu.h"
#include "smp.h"
#include "tlb.h"

struct world world;

static struct alias_guest_stats stats[WORLD_CPUS];
static struct percpu cpus[WORLD_CPUS];
static pte_t *tables[WORLD_PAGES / PTRS];
static pte_t tlb[WORLD_PAGES];

uint8_t *world_memory;

/* Once; what the slabs took is theirs for good. */
static void start_memory(void)
{
	static struct page pages[WORLD_PFNS];

	if (world_memory)
		return;
	world_memory = aligned_alloc(PAGE_SIZE, WORLD_PFNS * PAGE_SIZE);
	frame_init(pages, WORLD_PFNS);
	frame_add(1, WORLD_PFNS);
}

void world_reset(void)
{
	start_memory();
	world = (struct world){.tables_max = ~0u};
	memset(stats, 0, sizeof(stats));
	memset(tlb, 0, sizeof(tlb));
	for (unsigned i = 0; i < WORLD_PAGES / PTRS; i++) {
		free(tables[i]);
		tables[i] = NULL;
	}
}

pte_t world_pte(unsigned page)
{
	return tables[page / PTRS] ? tables[page / PTRS][page % PTRS] : 0;
}

pte_t world_tlb(unsigned page)
{
	return tlb[page];
}

void world_fill_tlb(void)
{
	for (unsigned page = 0; page < WORLD_PAGES; page++)
		if (world_pte(page) & PTE_P)
			tlb[page] = world_pte(page);
}

uint64_t world_stat(size_t offset)
{
	uint64_t sum = 0;

	for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++)
		sum += *(uint64_t *)((char *)&stats[cpu] + offset);
	return sum;
}

struct percpu *this_cpu(void)
{
	cpus[world.cpu] = (struct percpu){.id = world.cpu, .stats = &stats[world.cpu]};
	return &cpus[world.cpu];
}

pte_t *walk_kernel(uint64_t va, bool alloc)
{
	uint64_t page = (va - VMALLOC_START) / PAGE_SIZE;
	pte_t **table = &tables[page / PTRS];

	if (page >= WORLD_PAGES)
		panic("walk_kernel: %#lx is outside of the space", va);
	if (!*table && alloc && world.tables < world.tables_max) {
		*table = calloc(PTRS, sizeof(pte_t));
		world.tables++;
	}
	return *table ? &(*table)[page % PTRS] : NULL;
}

void change_pte(pte_t *pte, pte_t value)
{
	set_pte(pte, value);
}

uint64_t clear_epoch_begin(void)
{
	return ++world.cleared;
}

void flush_tlb_clear_epoch(uint64_t s, uint64_t start, uint64_t end)
{
	for (uint64_t va = start; va < end; va += PAGE_SIZE)
		tlb[(va - VMALLOC_START) / PAGE_SIZE] = 0;
	world.flushes++;
	/* The promise that goes with the clock: nothing that was cleared is still cached. */
	for (unsigned page = 0; page < WORLD_PAGES; page++)
		if (tlb[page] && tlb[page] != world_pte(page))
			panic("clock %lu: page %u was cleared and not flushed", s, page);
	if (s > world.flushed)
		world.flushed = s;
}

unsigned nr_cpus_online(void)
{
	return WORLD_CPUS;
}

uint64_t arg_u64(const char *key, uint64_t otherwise)
{
	(void)key;
	return otherwise;
}

const char *arg_str(const char *key)
{
	(void)key;
	return NULL;
}

void arg_bad(const char *key, const char *expected)
{
	panic("%s: expected %s", key, expected);
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	exit(EXIT_PANIC);
}

/* SPDX-License-Identifier: MIT */
#include "fake_mmu.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bootargs.h"
#include "frame.h"
#include "log.h"
#include "panic.h"
#include "origin.h"
#include "percpu.h"
#include "smp.h"
#include "tlb.h"

struct fake_mmu fake_mmu;

static struct alias_guest_stats stats[FAKE_CPUS];
static struct percpu cpus[FAKE_CPUS];
static pte_t *tables[FAKE_PAGES / PTRS];
static pte_t tlb[FAKE_PAGES];

uint8_t *fake_memory;

/* Once; what the slabs took is theirs for good. */
static void start_memory(void)
{
	static struct page pages[FAKE_PFNS];

	if (fake_memory)
		return;
	fake_memory = aligned_alloc(PAGE_SIZE, FAKE_PFNS * PAGE_SIZE);
	frame_init(pages, FAKE_PFNS);
	frame_add(1, FAKE_PFNS);
}

void fake_reset(void)
{
	start_memory();
	fake_mmu = (struct fake_mmu){.tables_max = ~0u};
	memset(stats, 0, sizeof(stats));
	memset(tlb, 0, sizeof(tlb));
	for (unsigned i = 0; i < FAKE_PAGES / PTRS; i++) {
		free(tables[i]);
		tables[i] = NULL;
	}
}

pte_t fake_pte(unsigned page)
{
	return tables[page / PTRS] ? tables[page / PTRS][page % PTRS] : 0;
}

pte_t fake_tlb(unsigned page)
{
	return tlb[page];
}

void fake_fill_tlb(void)
{
	for (unsigned page = 0; page < FAKE_PAGES; page++)
		if (fake_pte(page) & PTE_P)
			tlb[page] = fake_pte(page);
}

uint64_t fake_stat(size_t offset)
{
	uint64_t sum = 0;

	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++)
		sum += *(uint64_t *)((char *)&stats[cpu] + offset);
	return sum;
}

struct percpu *this_cpu(void)
{
	cpus[fake_mmu.cpu] = (struct percpu){.id = fake_mmu.cpu, .stats = &stats[fake_mmu.cpu]};
	return &cpus[fake_mmu.cpu];
}

pte_t *walk_kernel(uint64_t va, bool alloc)
{
	uint64_t page = (va - VMALLOC_START) / PAGE_SIZE;
	pte_t **table = &tables[page / PTRS];

	if (page >= FAKE_PAGES)
		panic("walk_kernel: %#lx is outside of the space", va);
	if (!*table && alloc && fake_mmu.tables < fake_mmu.tables_max) {
		*table = calloc(PTRS, sizeof(pte_t));
		fake_mmu.tables++;
	}
	return *table ? &(*table)[page % PTRS] : NULL;
}

void change_pte(pte_t *pte, pte_t value)
{
	set_pte(pte, value);
}

void origin_note_purge(uint64_t since, uint64_t purged, struct tlb_flush flush)
{
	(void)since, (void)purged, (void)flush;
}

uint64_t clear_epoch_begin(void)
{
	return ++fake_mmu.cleared;
}

struct tlb_flush flush_tlb_clear_epoch(uint64_t s, uint64_t start, uint64_t end)
{
	for (uint64_t va = start; va < end; va += PAGE_SIZE)
		tlb[(va - VMALLOC_START) / PAGE_SIZE] = 0;
	fake_mmu.flushes++;
	/* The promise that goes with the clock: nothing that was cleared is still cached. */
	for (unsigned page = 0; page < FAKE_PAGES; page++)
		if (tlb[page] && tlb[page] != fake_pte(page))
			panic("clock %lu: page %u was cleared and not flushed", s, page);
	if (s > fake_mmu.flushed)
		fake_mmu.flushed = s;
	return (struct tlb_flush){0};
}

unsigned nr_cpus_online(void)
{
	return FAKE_CPUS;
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

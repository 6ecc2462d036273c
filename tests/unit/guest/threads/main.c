/* SPDX-License-Identifier: MIT */
/*
 * The lazy vmap allocator with several CPUs, which are threads here, under the thread sanitizer.
 * What each CPU is promised is checked by that CPU: its mappings are its own as long as it has
 * them, and once vm_unmap_aliases() has returned, none that it gave back before is left, in the
 * page table or, as far as the clock tells, in a TLB.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../suites.h"
#include "bootargs.h"
#include "frame.h"
#include "log.h"
#include "panic.h"
#include "origin.h"
#include "percpu.h"
#include "pgtable.h"
#include "smp.h"
#include "tlb.h"
#include "vmap.h"

enum {
	NR_CPUS = 4,
	NR_STEPS = 20000,
	NR_SLOTS = 24,      /* mappings that a CPU has at once */
	NR_PAGES = 1 << 15, /* of address space */
	NR_PFNS = 1 << 15,
	FIRST_MAPPED = NR_PFNS / 2, /* frames below are the allocator's */
	MAX_COUNT = 70,
	NR_LOST = 64, /* addresses that a CPU remembers to have given back */
};

struct slot {
	uint64_t addr; /* 0: none */
	unsigned count;
	bool ram;
	uint64_t pfns[MAX_COUNT];
};

/* One CPU's. */
struct cpu {
	struct percpu percpu;
	struct alias_guest_stats stats;
	uint64_t rng;
	uint64_t next_pfn; /* each CPU maps frames of its own, in turns */
	struct slot slots[NR_SLOTS];
	unsigned nr_lost;
	struct {
		uint64_t addr;
		pte_t pte;
	} lost[NR_LOST];
};

uint8_t *fake_memory;

static struct cpu cpus[NR_CPUS];
static _Thread_local struct cpu *me = &cpus[0];
static pte_t ptes[NR_PAGES];
static struct vmap_space space;
/* The clock: atomic. */
static uint64_t cleared, flushed;

struct percpu *this_cpu(void)
{
	return &me->percpu;
}

pte_t *walk_kernel(uint64_t va, bool alloc)
{
	(void)alloc;
	return &ptes[(va - VMALLOC_START) / PAGE_SIZE];
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
	return __atomic_add_fetch(&cleared, 1, __ATOMIC_SEQ_CST);
}

struct tlb_flush flush_tlb_clear_epoch(uint64_t s, uint64_t start, uint64_t end)
{
	(void)start, (void)end;
	sched_yield();
	if (s <= __atomic_load_n(&flushed, __ATOMIC_SEQ_CST))
		panic("epoch %lu is flushed again", s);
	/* One purge at a time: nobody else clears what this flush does not cover. */
	if (s != __atomic_load_n(&cleared, __ATOMIC_SEQ_CST))
		panic("epoch %lu is flushed while another has begun", s);
	__atomic_store_n(&flushed, s, __ATOMIC_SEQ_CST);
	return (struct tlb_flush){0};
}

unsigned nr_cpus_online(void)
{
	return NR_CPUS;
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

uint64_t arg_u64(const char *key, uint64_t otherwise)
{
	(void)key;
	return otherwise;
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_Exit(EXIT_PANIC);
}

static uint64_t below(uint64_t n)
{
	return test_below(&me->rng, n);
}

static void map(struct slot *slot)
{
	uint64_t first = FIRST_MAPPED + me->percpu.id * (FIRST_MAPPED / NR_CPUS);

	slot->count = 1 + (unsigned)below(below(8) ? 8 : MAX_COUNT);
	slot->ram = below(2);
	for (unsigned i = 0; i < slot->count; i++)
		slot->pfns[i] = first + me->next_pfn++ % (FIRST_MAPPED / NR_CPUS);
	slot->addr =
		(uint64_t)(slot->ram ? vm_map_ram_in(&space, slot->pfns, slot->count, PTE_KERNEL)
				     : vmap_in(&space, slot->pfns, slot->count, PTE_KERNEL));
}

/* Nobody else writes there. */
static void check(const struct slot *slot)
{
	for (unsigned i = 0; i < slot->count; i++) {
		uint64_t va = slot->addr + i * PAGE_SIZE;

		if (get_pte(walk_kernel(va, false)) != make_pte(slot->pfns[i], PTE_KERNEL))
			panic("a live mapping at %#lx has changed", va);
	}
}

static void unmap(struct slot *slot)
{
	me->lost[me->nr_lost % NR_LOST].addr = slot->addr;
	me->lost[me->nr_lost++ % NR_LOST].pte = make_pte(slot->pfns[0], PTE_KERNEL);
	if (slot->ram)
		vm_unmap_ram_in(&space, (void *)slot->addr, slot->count);
	else
		vunmap_in(&space, (void *)slot->addr);
	slot->addr = 0;
}

static void unmap_aliases(void)
{
	uint64_t before = __atomic_load_n(&cleared, __ATOMIC_SEQ_CST);
	unsigned nr = me->nr_lost < NR_LOST ? me->nr_lost : NR_LOST;

	vm_unmap_aliases_in(&space);
	if (__atomic_load_n(&flushed, __ATOMIC_SEQ_CST) < before)
		panic("vm_unmap_aliases returned before epoch %lu was flushed", before);
	for (unsigned i = 0; i < nr; i++)
		if (get_pte(walk_kernel(me->lost[i].addr, false)) == me->lost[i].pte)
			panic("vm_unmap_aliases left an alias at %#lx", me->lost[i].addr);
	me->nr_lost = 0;
}

static void purge_ranges(void)
{
	uint64_t addrs[2];

	for (unsigned i = 0; i < 2; i++)
		addrs[i] = VMALLOC_START + below(NR_PAGES) * PAGE_SIZE;
	vm_purge_ranges_in(&space, addrs, 2, NULL);
}

static void *run_cpu(void *arg)
{
	me = arg;
	for (unsigned step = 0; step < NR_STEPS; step++) {
		struct slot *slot = &me->slots[below(NR_SLOTS)];

		if (slot->addr) {
			check(slot);
			unmap(slot);
		} else {
			map(slot);
		}
		if (below(50) == 0)
			unmap_aliases();
		if (below(20) == 0)
			purge_ranges();
	}
	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (me->slots[i].addr)
			unmap(&me->slots[i]);
	return NULL;
}

static void start_memory(void)
{
	static struct page pages[NR_PFNS];

	fake_memory = aligned_alloc(PAGE_SIZE, FIRST_MAPPED * PAGE_SIZE);
	frame_init(pages, NR_PFNS);
	frame_add(1, FIRST_MAPPED);
}

int main(void)
{
	pthread_t threads[NR_CPUS];

	start_memory();
	vmap_space_init(&space, VMALLOC_START, VMALLOC_START + NR_PAGES * PAGE_SIZE, NR_CPUS, 500);
	for (unsigned i = 0; i < NR_CPUS; i++) {
		cpus[i].percpu = (struct percpu){.id = i, .stats = &cpus[i].stats};
		cpus[i].rng = i + 1;
		if (pthread_create(&threads[i], NULL, run_cpu, &cpus[i]))
			panic("cannot start a thread");
	}
	for (unsigned i = 0; i < NR_CPUS; i++)
		pthread_join(threads[i], NULL);
	vm_unmap_aliases_in(&space);
	for (unsigned i = 0; i < NR_PAGES; i++)
		if (ptes[i])
			panic("page %u is mapped in the end", i);
	if (vmap_tree_check(&space.tree) || space.lazy_pages || space.stale_pages)
		panic("the space is not as it should be in the end");
	printf("ok vmap_with_threads_as_cpus: %u CPUs, %u steps each, %lu purges\n", NR_CPUS,
	       NR_STEPS, __atomic_load_n(&flushed, __ATOMIC_SEQ_CST));
	free(fake_memory);
	return 0;
}

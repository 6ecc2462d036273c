/* SPDX-License-Identifier: MIT */
/* Records for the host (struct alias_origin): who maps and unmaps, and for its trace when there
 * were purges and flushes. */
#include "origin.h"

#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "smp.h"
#include "tlb.h"
#include "vmap.h"

#define ORIGINS_ORDER 2u /* of the frames that hold one CPU's records */
#define ORIGINS_SHARE 64 /* they take at most this part of memory */

_Static_assert(ALIAS_ORIGINS * sizeof(struct alias_origin) == PAGE_SIZE << ORIGINS_ORDER, "");

/* How many CPUs there are, if purges and flushes are recorded, or 0. Written with all of them up,
 * before others make a purge. */
static unsigned traced;

void origins_init(void)
{
	uint64_t all = (uint64_t)nr_cpus_online() << ORIGINS_ORDER;

	if (!this_cpu()->vcpu_page || all > frames_total() / ORIGINS_SHARE)
		return;
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++) {
		uint64_t pfn = alloc_frames(ORIGINS_ORDER);

		if (pfn != NO_FRAME)
			cpu_by_id(cpu)->vcpu_page->origins_gpa = pfn << PAGE_SHIFT;
	}
}

/* The place of the next record of the CPU with that page, or NULL. Nothing adds another until it
 * counts: interrupt handlers add none, and the upcall's handler, which purges and flushes, runs
 * only at the `out` of a call or at a store to a page table. Neither is in between. */
static inline struct alias_origin *next_record(const struct alias_vcpu_page *page)
{
	struct alias_origin *records;

	if (!page || !page->origins_gpa)
		return NULL;
	records = phys_to_virt(page->origins_gpa);
	return &records[page->nr_origins % ALIAS_ORIGINS];
}

static inline void count_record(struct alias_vcpu_page *page)
{
	__atomic_store_n(&page->nr_origins, page->nr_origins + 1, __ATOMIC_RELEASE);
}

void origin_note(enum alias_origin_kind kind, void *addr, unsigned nr_pages, uint64_t caller)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;
	struct alias_origin *record = addr ? next_record(page) : NULL;

	if (!record)
		return;
	*record = (struct alias_origin){
		.va = (uint64_t)addr,
		.caller = caller,
		.nr_pages = nr_pages,
		.kind = kind,
		.purges = (uint32_t)__atomic_load_n(&kernel_vmap.common->purges, __ATOMIC_RELAXED),
		.pins = (uint32_t)page->stats.pins,
	};
	count_record(page);
}

void origins_trace(void)
{
	traced = nr_cpus_online();
}

/* Apart: without a trace it is never called. */
static __attribute__((noinline)) void add_purge(uint64_t since, uint64_t cleared,
						struct tlb_flush flush)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;
	struct alias_origin *record = next_record(page);

	if (!record)
		return;
	*record = (struct alias_origin){
		.start = since,
		.end = rdtsc(),
		.nr_pages = (uint32_t)cleared,
		.kind = ALIAS_ORIGIN_PURGE,
		.cpus = (uint16_t)traced,
		.flush_start = (uint32_t)(flush.start - since),
		.flush_end = (uint32_t)(flush.end - since),
	};
	count_record(page);
}

void origin_note_purge(uint64_t since, uint64_t cleared, struct tlb_flush flush)
{
	if (traced)
		add_purge(since, cleared, flush);
}

static __attribute__((noinline)) void add_flush(struct tlb_flush flush)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;
	struct alias_origin *record = next_record(page);

	if (!record)
		return;
	*record = (struct alias_origin){.start = flush.start,
					.end = flush.end,
					.kind = ALIAS_ORIGIN_FLUSH,
					.cpus = (uint16_t)traced};
	count_record(page);
}

void origin_note_flush(struct tlb_flush flush)
{
	if (traced > 1)
		add_flush(flush);
}

/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "aspace.h"
#include "flush.h"
#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "selftest.h"
#include "small_space.h"
#include "vmap.h"

static const struct aspace_range ranges[] = {
	{.va = 0x400000, .nr_pages = 3},
	{.va = 0x7fffff000, .nr_pages = 2}, /* over the end of a 2 MiB, and a 1 GiB, region */
	{.va = USER_END - PAGE_SIZE, .nr_pages = 1},
};
#define NR_RANGES 3u

static void write_pages(const struct aspace *as, uint64_t mark)
{
	aspace_enter(as);
	for (unsigned i = 0; i < NR_RANGES; i++)
		for (unsigned n = 0; n < ranges[i].nr_pages; n++) {
			uint64_t va = ranges[i].va + n * PAGE_SIZE;

			*(volatile uint64_t *)va = va ^ mark;
		}
	aspace_leave();
}

/* How many pages don't hold, by the direct map, what write_pages() wrote. */
static unsigned wrong_pages(const struct aspace *as, uint64_t mark)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < NR_RANGES; i++)
		for (unsigned n = 0; n < ranges[i].nr_pages; n++) {
			uint64_t va = ranges[i].va + n * PAGE_SIZE;
			uint64_t pfn = aspace_frame(as, va);

			wrong += pfn == NO_FRAME ||
				 *(volatile uint64_t *)pfn_to_virt(pfn) != (va ^ mark);
		}
	return wrong;
}

static void aspaces_are_apart(struct selftest_result *r)
{
	struct aspace a, b;
	uint64_t free;

	/* Tables may be kept for the next address space. */
	EXPECT(r, !aspace_create(&a, ranges, NR_RANGES) && !aspace_create(&b, ranges, NR_RANGES));
	EXPECT(r, !aspace_destroy(&a) && !aspace_destroy(&b));
	free = frames_free_count();

	EXPECT(r, !aspace_create(&a, ranges, NR_RANGES));
	EXPECT(r, !aspace_create(&b, ranges, NR_RANGES));
	write_pages(&a, 0xaaaa);
	write_pages(&b, 0xbbbb);
	EXPECT(r, wrong_pages(&a, 0xaaaa) == 0 && wrong_pages(&b, 0xbbbb) == 0);
	EXPECT(r, this_cpu()->root_pfn == kernel_root_pfn());
	EXPECT(r, !aspace_destroy(&a));
	EXPECT(r, wrong_pages(&b, 0xbbbb) == 0);
	EXPECT(r, !aspace_destroy(&b));
	EXPECT(r, frames_free_count() == free);
}
SELFTEST(aspaces_are_apart, aspaces_are_apart);

static void aspace_grows_while_it_runs(struct selftest_result *r)
{
	static const uint64_t more[] = {0x403000, 0x600000, 0x40000000, 0x8000000000};
	uint64_t free = frames_free_count(), seen;
	struct aspace as;

	EXPECT(r, !aspace_create(&as, ranges, NR_RANGES));
	for (unsigned i = 0; i < 4; i++) {
		aspace_enter(&as);
		EXPECT(r, !aspace_grow(&as, more[i]));
		*(volatile uint64_t *)more[i] = more[i];
		seen = *(volatile uint64_t *)more[i];
		aspace_leave();
		EXPECT(r, seen == more[i]);
		EXPECT(r, *(uint64_t *)pfn_to_virt(aspace_frame(&as, more[i])) == more[i]);
	}
	EXPECT(r, !aspace_destroy(&as));
	EXPECT(r, frames_free_count() == free);
}
SELFTEST(aspace_grows_while_it_runs, aspace_grows_while_it_runs);

/* What is mapped in the kernel's half later is there in every address space. */
static void aspace_shares_the_kernels_half(struct selftest_result *r)
{
	struct vmap_space *space = small_space(1000000);
	volatile uint64_t *addr;
	struct aspace as;

	EXPECT(r, space);
	EXPECT(r, !aspace_create(&as, ranges, NR_RANGES));
	aspace_enter(&as);
	addr = vmap_in(space, small_pfns(), 1, PTE_KERNEL);
	EXPECT(r, addr);
	*addr = 0x5a5a;
	aspace_leave();
	EXPECT(r, *addr == 0x5a5a);
	EXPECT(r, !aspace_destroy(&as));
	vunmap_in(space, (void *)addr);
	vm_unmap_aliases_in(space);
}
SELFTEST(aspace_shares_the_kernels_half, aspace_shares_the_kernels_half);

static void recycled_tables_are_counted(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	uint64_t before = stats->tables_recycled, pfn;
	void *addr;

	if (flush_strategy()->take_table)
		SKIP(r, "the strategy takes tables from elsewhere");
	pfn = alloc_frame();
	addr = pfn == NO_FRAME ? NULL : vmap(&pfn, 1, PTE_KERNEL);
	EXPECT(r, addr);
	vunmap(addr);
	vm_unmap_aliases();
	free_frame(pfn);
	EXPECT(r, alloc_table() == pfn);
	EXPECT(r, stats->tables_recycled == before + 1);
	free_table(pfn);
	EXPECT(r, alloc_table() == pfn);
	EXPECT(r, stats->tables_recycled == before + 1);
	free_table(pfn);
}
SELFTEST(recycled_tables_are_counted, recycled_tables_are_counted);

/* SPDX-License-Identifier: MIT */
/*
 * The cases of Linux's lib/test_vmalloc.c, by their names, on all CPUs: `case=` names one, without
 * it they run one after the other. vmalloc() is take_frames() and vmap() here. Long lists of areas
 * map one frame again and again, as it's the areas that they are about; they are shorter than
 * Linux's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "bootargs.h"
#include "common.h"
#include "console.h"
#include "frame.h"
#include "panic.h"
#include "pgtable.h"
#include "vmap.h"
#include "worker.h"
#include "workload.h"

BOOTARG(case, "workload test_vmalloc: fix_size, full_fit, long_busy_list, random_size, "
	      "fix_align, random_size_align, align_shift, vm_map_ram");

#define DEFAULT_ITERS 100u
#define PAGES_MOST    100u            /* of a mapping */
#define BUSY_AREAS    1500u           /* Linux: 15000 */
#define JUNK_AREAS    1024u           /* Linux: fls(CPUs) x 32 MiB worth of pages */
#define FIX_ALIGN     (8 * PAGE_SIZE) /* Linux: twice the alignment of a stack */
#define SHIFT_MOST    34u             /* 16 GiB; Linux goes on to where it must fail */

/* Areas that stay for the time of a case; each CPU takes frames for its own list. */
struct area_list {
	void **areas;
	unsigned order, nr;
};

struct allocation {
	void *addr;
	unsigned nr;
	uint64_t pfns[PAGES_MOST];
};

static bool allocate_area(struct worker *w, struct allocation *a, unsigned nr, uint64_t align)
{
	a->nr = nr;
	if (!take_frames(a->pfns, nr))
		return worker_fail(w, "no frames", nr);
	a->addr = vmap_aligned(a->pfns, nr, align, PTE_KERNEL);
	if (!a->addr) {
		give_frames(a->pfns, nr);
		return worker_fail(w, "could not be mapped", nr);
	}
	if ((uint64_t)a->addr % align)
		return worker_fail(w, "is not aligned", (uint64_t)a->addr);
	*(volatile char *)a->addr = 1;
	return true;
}

static void release_area(struct allocation *a)
{
	vunmap(a->addr);
	give_frames(a->pfns, a->nr);
}

static bool come_and_go(struct worker *w, unsigned nr, uint64_t align)
{
	struct allocation a;

	if (!allocate_area(w, &a, nr, align))
		return false;
	release_area(&a);
	return true;
}

static bool list_begin(struct worker *w, struct area_list *list, unsigned nr)
{
	uint64_t pfn;

	*list = (struct area_list){0};
	while (PAGE_SIZE << list->order < nr * sizeof(*list->areas))
		list->order++;
	pfn = alloc_frames(list->order);
	if (pfn == NO_FRAME)
		return worker_fail(w, "no memory for a list", nr);
	list->areas = pfn_to_virt(pfn);
	return true;
}

static bool list_add(struct worker *w, struct area_list *list, uint64_t pfn)
{
	void *addr = vmap(&pfn, 1, PTE_KERNEL);

	if (!addr)
		return worker_fail(w, "could not be mapped", list->nr);
	list->areas[list->nr++] = addr;
	return true;
}

static void list_end(struct area_list *list)
{
	while (list->nr)
		vunmap(list->areas[--list->nr]);
	free_frames(virt_to_pfn(list->areas), list->order);
}

static bool fix_size(struct worker *w)
{
	bool good = true;

	for (uint64_t i = 0; good && i < w->iters; i++)
		good = come_and_go(w, 1, PAGE_SIZE);
	return good;
}

/* With every second of the areas gone the holes are as large as what is asked for. */
static bool full_fit(struct worker *w)
{
	struct area_list busy, junk;
	uint64_t pfn = alloc_frame();
	bool good = pfn != NO_FRAME && list_begin(w, &busy, JUNK_AREAS) &&
		    list_begin(w, &junk, JUNK_AREAS);

	for (unsigned i = 0; good && i < JUNK_AREAS; i++)
		good = list_add(w, &busy, pfn) && list_add(w, &junk, pfn);
	if (!good)
		return worker_fail(w, "no room for the areas", 0);
	list_end(&junk);
	good = fix_size(w);
	list_end(&busy);
	free_frame(pfn);
	return good;
}

static bool long_busy_list(struct worker *w)
{
	struct area_list busy;
	uint64_t pfn = alloc_frame();
	bool good = pfn != NO_FRAME && list_begin(w, &busy, BUSY_AREAS);

	for (unsigned i = 0; good && i < BUSY_AREAS; i++)
		good = list_add(w, &busy, pfn);
	if (!good)
		return worker_fail(w, "no room for the areas", 0);
	for (uint64_t i = 0; good && i < w->iters; i++) {
		struct allocation a;

		good = allocate_area(w, &a, PAGES_MOST, PAGE_SIZE) && come_and_go(w, 1, PAGE_SIZE);
		if (good)
			release_area(&a);
	}
	list_end(&busy);
	free_frame(pfn);
	return good;
}

static bool random_size(struct worker *w)
{
	bool good = true;

	for (uint64_t i = 0; good && i < w->iters; i++)
		good = come_and_go(w, 1 + (unsigned)rng_below(&w->rng, PAGES_MOST), PAGE_SIZE);
	return good;
}

static bool fix_align(struct worker *w)
{
	bool good = true;

	for (uint64_t i = 0; good && i < w->iters; i++)
		good = come_and_go(w, 5, FIX_ALIGN);
	return good;
}

static bool random_size_align(struct worker *w)
{
	bool good = true;

	for (uint64_t i = 0; good && i < w->iters; i++)
		good = come_and_go(w, 1 + (unsigned)rng_below(&w->rng, 10),
				   PAGE_SIZE << rng_below(&w->rng, 11));
	return good;
}

static bool align_shift(struct worker *w)
{
	bool good = true;

	for (unsigned shift = PAGE_SHIFT; good && shift <= SHIFT_MOST; shift++)
		good = come_and_go(w, 1, 1ul << shift);
	return good;
}

static bool map_ram(struct worker *w)
{
	uint64_t pfn = alloc_frame();
	bool good = pfn != NO_FRAME;

	for (uint64_t i = 0; good && i < w->iters; i++) {
		char *mapped = vm_map_ram(&pfn, 1, PTE_KERNEL);

		if (!mapped)
			return worker_fail(w, "could not be mapped", i);
		*(volatile char *)mapped = 'a';
		vm_unmap_ram(mapped, 1);
	}
	if (!good)
		return worker_fail(w, "no frame", 0);
	free_frame(pfn);
	return good;
}

static const struct {
	const char *name;
	bool (*run)(struct worker *w);
} cases[] = {
	{"fix_size", fix_size},
	{"full_fit", full_fit},
	{"long_busy_list", long_busy_list},
	{"random_size", random_size},
	{"fix_align", fix_align},
	{"random_size_align", random_size_align},
	{"align_shift", align_shift},
	{"vm_map_ram", map_ram},
};

#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

static bool run_case(const char *name, bool (*run)(struct worker *w))
{
	if (!run_on_workers(name, run, DEFAULT_ITERS))
		return false;
	kprintf("test_vmalloc: %s: ok\n", name);
	return true;
}

static int run_test_vmalloc(void)
{
	const char *name = arg_str("case");
	bool good = true, found = false;

	for (unsigned i = 0; good && i < NR_CASES; i++) {
		if (name && strcmp(name, cases[i].name))
			continue;
		found = true;
		good = run_case(cases[i].name, cases[i].run);
	}
	if (!found)
		arg_bad("case", "one of Linux's: fix_size, full_fit, long_busy_list, random_size, "
				"fix_align, random_size_align, align_shift, vm_map_ram");
	print_totals("test_vmalloc");
	return good ? EXIT_OK : EXIT_CHECK_FAILED;
}

WORKLOAD(test_vmalloc, "the cases of Linux's test_vmalloc, or case=", run_test_vmalloc);

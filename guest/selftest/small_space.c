/* SPDX-License-Identifier: MIT */
#include "small_space.h"

#include <stddef.h>

#include "frame.h"
#include "log.h"
#include "panic.h"
#include "pgtable.h"
#include "smp.h"
#include "tlb.h"

/* Made by the first test that asks. */
static struct vmap_space space;
static struct vmap_area *reserved;
static uint64_t pfns[SMALL_PFNS];

/* What a test that failed has left behind. */
static void clear_leftovers(void)
{
	uint64_t end = reserved->start + SMALL_PAGES * PAGE_SIZE;
	uint64_t epoch = clear_epoch_begin();

	for (uint64_t va = reserved->start; va < end; va += PAGE_SIZE) {
		pte_t *pte = walk_kernel(va, false);

		if (pte)
			change_pte(pte, 0);
	}
	flush_tlb_clear_epoch(epoch, reserved->start, end);
}

struct vmap_space *small_space(uint64_t lazy_max)
{
	uint64_t align = VMAP_BLOCK_PAGES_MAX * PAGE_SIZE;

	if (!reserved)
		reserved = vmap_area_alloc(&kernel_vmap, SMALL_PAGES, align, NULL);
	if (!reserved)
		return NULL;
	clear_leftovers();
	vmap_space_init(&space, reserved->start, reserved->start + SMALL_PAGES * PAGE_SIZE,
			nr_cpus_online(), lazy_max);
	return &space;
}

const uint64_t *small_pfns(void)
{
	for (unsigned i = 0; i < SMALL_PFNS && pfns[i] == NO_FRAME; i++) {
		pfns[i] = alloc_frame();
		if (pfns[i] == NO_FRAME)
			panic("selftest: no memory for a few frames");
	}
	return pfns;
}

/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include <stddef.h>

#include "common.h"
#include "pgtable.h"
#include "vmap.h"

/* What is written at an address; differs between CPUs and from time to time. */
static uint64_t test_pattern(const struct worker *w, uint64_t addr)
{
	return addr * 0x9e3779b97f4a7c15u ^ w->rng.state;
}

bool use_page(struct worker *w, volatile uint64_t *mapped, uint64_t pfn)
{
	volatile uint64_t *direct = pfn_to_virt(pfn);
	uint64_t value = test_pattern(w, (uint64_t)mapped);
	unsigned last = PAGE_SIZE / sizeof(*mapped) - 1;

	mapped[0] = value;
	if (direct[0] != value)
		return worker_fail(w, "a page doesn't hold what was written to it",
				   (uint64_t)mapped);
	direct[last] = ~value;
	if (mapped[last] != ~value)
		return worker_fail(w, "a mapping doesn't show its page", (uint64_t)mapped);
	return true;
}

bool buffer_map(struct worker *w, struct buffer *b, unsigned nr, bool ram)
{
	b->nr = nr;
	b->ram = ram;
	if (!take_frames(b->pfns, nr))
		return worker_fail(w, "no frames for a buffer", 0);
	b->addr = ram ? vm_map_ram(b->pfns, nr, PTE_KERNEL) : vmap(b->pfns, nr, PTE_KERNEL);
	if (b->addr)
		return true;
	give_frames(b->pfns, nr);
	return worker_fail(w, "a buffer could not be mapped", 0);
}

void buffer_unmap(struct buffer *b)
{
	if (b->ram)
		vm_unmap_ram(b->addr, b->nr);
	else
		vunmap(b->addr);
	b->addr = NULL;
	give_frames(b->pfns, b->nr);
}

bool buffer_use(struct worker *w, const struct buffer *b)
{
	for (unsigned i = 0; i < b->nr; i++)
		if (!use_page(w, b->addr + i * PTRS, b->pfns[i]))
			return false;
	return true;
}

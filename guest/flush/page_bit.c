/* SPDX-License-Identifier: MIT */
/*
 * The vmap layer keeps, for each frame, whether a live or stale PTE may map it. Before a pin the
 * guest checks this bit itself, and purges if it is set for one of the frames. The bit is really a
 * count, since a frame can be mapped several times. The count goes down when a PTE is cleared,
 * which is before it is flushed; so pins wait for purges in flight.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "flush.h"
#include "frame.h"
#include "pgtable.h"
#include "pin.h"
#include "vmap.h"

/* Number of PTEs that may map each frame below frames_end(); written by any CPU, atomically. A
 * purge decrements it after clearing the PTE and before flushing. NULL at boot, when nothing is
 * mapped. */
static uint32_t *counts;
static unsigned counts_order; /* order of the block of frames that holds them */

static void page_bit_mapped(uint64_t pfn)
{
	__atomic_fetch_add(&counts[pfn], 1, __ATOMIC_RELAXED);
}

static void page_bit_cleared(uint64_t pfn)
{
	__atomic_fetch_sub(&counts[pfn], 1, __ATOMIC_RELEASE);
}

static bool may_be_mapped(uint64_t pfn)
{
	return counts && pfn < frames_end() && __atomic_load_n(&counts[pfn], __ATOMIC_ACQUIRE);
}

static void page_bit_before_pin(const struct pin_req *reqs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (pin_op_minds_aliases(reqs[i].op) && may_be_mapped(reqs[i].pfn)) {
			vm_unmap_aliases();
			return;
		}
	}
}

static int page_bit_start(void)
{
	uint64_t bytes = frames_end() * sizeof(*counts), pfn;

	counts_order = 0;
	while (PAGE_SIZE << counts_order < bytes)
		counts_order++;
	pfn = counts_order <= FRAME_ORDER_MAX ? alloc_frames(counts_order) : NO_FRAME;
	if (pfn == NO_FRAME)
		return -1;
	counts = pfn_to_virt(pfn);
	memset(counts, 0, bytes);
	vmap_for_each_pte(&kernel_vmap, page_bit_mapped);
	return 0;
}

static void page_bit_stop(void)
{
	free_frames(virt_to_pfn(counts), counts_order);
}

FLUSH_STRATEGY(page_bit, PAGE_BIT, "page-bit", "purge before a pin if a frame may be mapped",
	       .before_pin = page_bit_before_pin,
	       .vmap = {.mapped = page_bit_mapped, .cleared = page_bit_cleared},
	       .start = page_bit_start, .stop = page_bit_stop);

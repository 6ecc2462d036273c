/* SPDX-License-Identifier: MIT */
/*
 * Each CPU keeps a list of frames without aliases, and allocates page tables from it. A page table
 * can't have been vmapped, so freed tables go back to the list. An empty list is filled with many
 * frames under one purge. For transitions other than pins, frames come from anywhere, and
 * everything is purged before.
 */
#include <stddef.h>

#include "bootargs.h"
#include "flush.h"
#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"
#include "vmap.h"

BOOTARG(quicklist, "strategy quicklist: frames taken under one purge, 1..1024, default 32");

#define FILL_DEFAULT 32u
#define FILL_MAX     1024u

/* One for each CPU; linked through the first word of the frames. */
static struct {
	__cacheline uint64_t first; /* pfn, or NO_FRAME */
} lists[MAX_CPUS];

static void quicklist_push(uint64_t *first, uint64_t pfn)
{
	*(uint64_t *)pfn_to_virt(pfn) = *first;
	*first = pfn;
}

static uint64_t quicklist_pop(uint64_t *first)
{
	uint64_t pfn = *first;

	if (pfn != NO_FRAME)
		*first = *(uint64_t *)pfn_to_virt(pfn);
	return pfn;
}

static uint64_t fill_size(void)
{
	uint64_t n = arg_u64("quicklist", FILL_DEFAULT);

	if (n < 1 || n > FILL_MAX)
		arg_bad("quicklist", "a number from 1 to 1024");
	return n;
}

/* Fills the list, with fewer frames if memory is short. */
static void quicklist_fill(uint64_t *first)
{
	uint64_t pfn;

	for (uint64_t n = fill_size(); n > 0 && (pfn = take_table_frame()) != NO_FRAME; n--)
		quicklist_push(first, pfn);
	if (*first != NO_FRAME)
		vm_unmap_aliases();
}

static uint64_t quicklist_take(void)
{
	uint64_t *first = &lists[this_cpu()->id].first;

	if (*first == NO_FRAME)
		quicklist_fill(first);
	return quicklist_pop(first);
}

static void quicklist_give(uint64_t pfn)
{
	quicklist_push(&lists[this_cpu()->id].first, pfn);
}

static void quicklist_before_pin(const struct pin_req *reqs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (reqs[i].op != PIN_OP_PIN && pin_op_minds_aliases(reqs[i].op)) {
			vm_unmap_aliases();
			return;
		}
	}
}

static int quicklist_start(void)
{
	fill_size(); /* reports a bad value at the start */
	return 0;
}

static void quicklist_stop(void)
{
	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		for (uint64_t pfn; (pfn = quicklist_pop(&lists[cpu].first)) != NO_FRAME;)
			give_table_frame(pfn);
}

FLUSH_STRATEGY(quicklist, QUICKLIST, "quicklist", "tables from a cache, filled under one purge",
	       .before_pin = quicklist_before_pin, .take_table = quicklist_take,
	       .give_table = quicklist_give, .start = quicklist_start, .stop = quicklist_stop);

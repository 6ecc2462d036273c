/* SPDX-License-Identifier: MIT */
#include "set_memory.h"

#include <stdbool.h>
#include <stddef.h>

#include "cpu.h"
#include "flush.h"
#include "panic.h"
#include "pgtable.h"
#include "pin.h"
#include "pte_updates.h"
#include "tlb.h"

/* The same PAT as Linux's: WB, WC, UC-, UC, WB, WP, UC-, WT. The types in use at boot are as at
 * reset, so no cache or TLB has to be flushed. */
#define PAT 0x0407050600070106ul

void pat_init_cpu(void)
{
	wrmsr(MSR_PAT, PAT);
}

static enum memory_type type_of(pte_t pte)
{
	return (pte & PTE_PWT ? 1 : 0) | (pte & PTE_PCD ? 2 : 0) | (pte & PTE_PAT ? 4 : 0);
}

/* Splits leaves of the direct map, so that each frame has an entry of its own and no later step
 * needs memory. */
static bool split_leaves(const uint64_t *pfns, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!walk_direct(pfns[i]))
			return false;
	return true;
}

static void write_leaves(const uint64_t *pfns, unsigned n, enum memory_type type)
{
	struct pte_updates updates;

	pte_updates_init(&updates);
	strategy_read_lock();
	for (unsigned i = 0; i < n; i++) {
		pte_t *pte = walk_direct(pfns[i]);

		pte_updates_add(&updates, pte,
				(get_pte(pte) & ~PTE_MEMTYPE) | pte_of_memtype(type));
	}
	/* The host has no rule about the direct map, so it refuses nothing. */
	BUG_ON(pte_updates_finish(&updates));
	strategy_read_unlock();
}

static void flush_leaves(const uint64_t *pfns, unsigned n)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t va = (uint64_t)pfn_to_virt(pfns[i]);

		first = va < first ? va : first;
		last = va > last ? va : last;
	}
	flush_tlb_kernel_range(first, last + PAGE_SIZE);
}

/* Flushes lines that any CPU has cached with the old type. */
static void flush_caches(const uint64_t *pfns, unsigned n)
{
	mfence();
	for (unsigned i = 0; i < n; i++)
		for (unsigned line = 0; line < PAGE_SIZE; line += CACHE_LINE)
			clflush((const uint8_t *)pfn_to_virt(pfns[i]) + line);
	mfence();
}

/* The order is that of alias_abi.h: until the host agrees, the frames are in use with their old
 * type. */
int set_memory_type(const uint64_t *pfns, unsigned n, enum memory_type type)
{
	struct pin_req to = {.op = PIN_OP_MEMTYPE, .memtype = (uint8_t)type}, back = to;

	if (!n)
		return 0;
	if (!split_leaves(pfns, n))
		return -1;
	back.memtype = (uint8_t)type_of(get_pte(walk_direct(pfns[0])));
	if (pin_frames(pfns, n, to, back))
		return -1;
	write_leaves(pfns, n, type);
	flush_leaves(pfns, n);
	flush_caches(pfns, n);
	return 0;
}

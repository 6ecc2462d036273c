/* SPDX-License-Identifier: MIT */
/* The host's answers to the transitions other than pins. */
#include <stdbool.h>
#include <stddef.h>

#include "balloon.h"
#include "flush.h"
#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"
#include "platform.h"
#include "purge_cost.h"
#include "selftest.h"
#include "set_memory.h"
#include "vmap.h"

#define NEED_HOST(r)                                                                               \
	do {                                                                                       \
		if (!platform.has_host)                                                            \
			SKIP(r, "there is no host that tracks aliases");                           \
	} while (0)

static bool transitions_are_unchecked(void)
{
	return flush_strategy()->number == ALIAS_FLUSH_NONE;
}

/* The answer to one request. */
static enum alias_status ask_transition(uint64_t pfn, unsigned memtype, enum pin_op op)
{
	struct pin_req req = {.pfn = pfn, .memtype = (uint8_t)memtype, .op = op};
	struct pin_refusal why;

	return pin_batch_try(&req, 1, &why) ? why.status : ALIAS_OK;
}

static void transition_states(struct selftest_result *r)
{
	uint64_t pfn = alloc_frame(), shared = platform.shared_gpa >> PAGE_SHIFT;

	NEED_HOST(r);
	EXPECT(r, ask_transition(pfn, 8, PIN_OP_MEMTYPE) == ALIAS_BAD_MEMTYPE);
	EXPECT(r, ask_transition(1ul << 40, 1, PIN_OP_MEMTYPE) == ALIAS_BAD_FRAME);
	EXPECT(r, ask_transition(1ul << 40, 0, PIN_OP_INFLATE) == ALIAS_BAD_FRAME);
	EXPECT(r, ask_transition(1ul << 40, 0, PIN_OP_DEFLATE) == ALIAS_BAD_FRAME);
	EXPECT(r, ask_transition(shared, 1, PIN_OP_MEMTYPE) == ALIAS_BAD_FRAME);
	EXPECT(r, ask_transition(shared, 0, PIN_OP_INFLATE) == ALIAS_BAD_FRAME);
	EXPECT(r, ask_transition(kernel_root_pfn(), 1, PIN_OP_MEMTYPE) == ALIAS_BAD_STATE);
	EXPECT(r, ask_transition(kernel_root_pfn(), 0, PIN_OP_INFLATE) == ALIAS_BAD_STATE);
	EXPECT(r, ask_transition(pfn, 0, PIN_OP_DEFLATE) == ALIAS_BAD_STATE);
	EXPECT(r, ask_transition(pfn, 1, PIN_OP_MEMTYPE) == ALIAS_OK);
	EXPECT(r, ask_transition(pfn, 0, PIN_OP_INFLATE) == ALIAS_BAD_STATE);
	EXPECT(r, ask_transition(pfn, 1, PIN_OP_PIN) == ALIAS_BAD_STATE);
	EXPECT(r, ask_transition(pfn, 0, PIN_OP_MEMTYPE) == ALIAS_OK);
	EXPECT(r, ask_transition(pfn, 0, PIN_OP_INFLATE) == ALIAS_OK);
	EXPECT(r, ask_transition(pfn, 0, PIN_OP_INFLATE) == ALIAS_IS_BALLOONED);
	EXPECT(r, ask_transition(pfn, 1, PIN_OP_PIN) == ALIAS_IS_BALLOONED);
	EXPECT(r, ask_transition(pfn, 1, PIN_OP_MEMTYPE) == ALIAS_IS_BALLOONED);
	EXPECT(r, ask_transition(pfn, 0, PIN_OP_DEFLATE) == ALIAS_OK);
	EXPECT(r, ask_transition(pfn, 0, PIN_OP_DEFLATE) == ALIAS_BAD_STATE);
	free_frame(pfn);
}
SELFTEST(transition_states, transition_states);

/* The direct map gets the new type, and the old one again; the frames keep their content. */
static void memory_types_change(struct selftest_result *r)
{
	static const enum memory_type types[] = {MEMORY_UC, MEMORY_WT, MEMORY_WC, MEMORY_WB};
	uint64_t pfns[3];

	for (unsigned i = 0; i < 3; i++) {
		pfns[i] = alloc_frame();
		*(volatile uint64_t *)pfn_to_virt(pfns[i]) = 0x1234 + i;
	}
	for (unsigned t = 0; t < 4; t++) {
		EXPECT(r, !set_memory_type(pfns, 3, types[t]));
		for (unsigned i = 0; i < 3; i++) {
			volatile uint64_t *word = pfn_to_virt(pfns[i]);
			uint64_t pfn;
			pte_t pte = lookup_leaf(kernel_root_pfn(), (uint64_t)word, &pfn);

			EXPECT(r,
			       (pte & PTE_MEMTYPE) == pte_of_memtype(types[t]) && pfn == pfns[i]);
			EXPECT(r, *word == 0x1234 + i);
		}
	}
	for (unsigned i = 0; i < 3; i++)
		free_frame(pfns[i]);
}
SELFTEST(memory_types_change, memory_types_change);

/* The strategy purges stale aliases, on the way there and back; read-only ones, too. */
static void stale_aliases_of_types(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	uint64_t pfn = alloc_frame(), upcalls = stats->upcalls;
	bool traps = platform.has_host && flush_strategy()->on_alias;
	void *addr;

	purge_cost_reset(); /* no purge ahead */
	addr = vmap(&pfn, 1, PTE_KERNEL & ~(PTE_RW | PTE_D));
	EXPECT(r, addr);
	vunmap(addr);
	EXPECT(r, !set_memory_type(&pfn, 1, MEMORY_UC));
	EXPECT(r, stats->upcalls == upcalls + traps);
	addr = vmap(&pfn, 1, PTE_KERNEL | pte_of_memtype(MEMORY_UC));
	EXPECT(r, addr);
	vunmap(addr);
	EXPECT(r,
	       !set_memory_type(&pfn, 1, MEMORY_UC)); /* a mapping with the right type is allowed */
	EXPECT(r, stats->upcalls == upcalls + traps);
	EXPECT(r, !set_memory_type(&pfn, 1, MEMORY_WB));
	EXPECT(r, stats->upcalls == upcalls + 2 * traps);
	free_frame(pfn);
}
SELFTEST(stale_aliases_of_types, stale_aliases_of_types);

static void live_alias_of_a_type(struct selftest_result *r)
{
	uint64_t pfns[2] = {alloc_frame(), alloc_frame()};
	struct pin_req req = {.pfn = pfns[1], .memtype = MEMORY_WC, .op = PIN_OP_MEMTYPE};
	struct pin_refusal why;
	void *addr;

	NEED_HOST(r);
	if (transitions_are_unchecked())
		SKIP(r, "strategy none checks nothing");
	addr = vmap(&pfns[1], 1, PTE_KERNEL);
	EXPECT(r, addr);
	EXPECT(r, pin_batch_try(&req, 1, &why));
	EXPECT(r, why.status == ALIAS_HAS_ALIAS && why.fault.nr == 1 && !why.fault.more);
	EXPECT(r, why.fault.va[0] == (uint64_t)addr);
	/* All or none: neither has changed. */
	EXPECT(r, set_memory_type(pfns, 2, MEMORY_WC) == -1);
	for (unsigned i = 0; i < 2; i++) {
		EXPECT(r, !(get_pte(walk_direct(pfns[i])) & PTE_MEMTYPE));
		EXPECT(r, ask_transition(pfns[i], 0, PIN_OP_MEMTYPE) == ALIAS_OK);
	}
	vunmap(addr);
	vm_unmap_aliases();
	EXPECT(r, !set_memory_type(pfns, 2, MEMORY_WC));
	EXPECT(r, !set_memory_type(pfns, 2, MEMORY_WB));
	free_frame(pfns[0]);
	free_frame(pfns[1]);
}
SELFTEST(live_alias_of_a_type, live_alias_of_a_type);

/* Inflated with a stale read-only alias; deflated, it holds zeroes. */
static void frames_go_and_come(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	uint64_t pfn = alloc_frame(), upcalls = stats->upcalls;
	bool traps = flush_strategy()->on_alias;
	volatile uint64_t *words = pfn_to_virt(pfn);
	void *addr;

	NEED_HOST(r);
	purge_cost_reset(); /* no purge ahead */
	words[0] = words[PTRS - 1] = 0x5ca1ab1e;
	addr = vmap(&pfn, 1, PTE_KERNEL & ~(PTE_RW | PTE_D));
	EXPECT(r, addr);
	vunmap(addr);
	EXPECT(r, !balloon_inflate(&pfn, 1));
	EXPECT(r, stats->upcalls == upcalls + traps);
	EXPECT(r, transitions_are_unchecked() ||
			  !lookup_leaf(kernel_root_pfn(), (uint64_t)addr, NULL));
	EXPECT(r, words[0] == 0 && words[PTRS - 1] == 0);
	words[1] = 0xbad; /* what it must not do */
	EXPECT(r, !balloon_deflate(&pfn, 1));
	EXPECT(r, words[0] == 0 && words[1] == 0 && words[PTRS - 1] == 0);
	vm_unmap_aliases();
	free_frame(pfn);
}
SELFTEST(frames_go_and_come, frames_go_and_come);

static void live_alias_of_a_balloon(struct selftest_result *r)
{
	uint64_t pfns[2] = {alloc_frame(), alloc_frame()};
	volatile uint64_t *mapped;

	NEED_HOST(r);
	if (transitions_are_unchecked())
		SKIP(r, "strategy none checks nothing");
	mapped = vmap(&pfns[1], 1, PTE_KERNEL);
	EXPECT(r, mapped);
	mapped[0] = 0x5ca1ab1e;
	EXPECT(r, balloon_inflate(pfns, 2) == -1);
	EXPECT(r, mapped[0] == 0x5ca1ab1e); /* a refused frame keeps its content */
	vunmap((void *)mapped);
	EXPECT(r, ask_transition(pfns[0], 0, PIN_OP_DEFLATE) == ALIAS_BAD_STATE);
	vm_unmap_aliases();
	EXPECT(r, !balloon_inflate(pfns, 2));
	EXPECT(r, !balloon_deflate(pfns, 2));
	free_frame(pfns[0]);
	free_frame(pfns[1]);
}
SELFTEST(live_alias_of_a_balloon, live_alias_of_a_balloon);

/* SPDX-License-Identifier: MIT */
/* The host's answers to pins. */
#include <stdbool.h>
#include <stddef.h>

#include "flush.h"
#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"
#include "purge_cost.h"
#include "platform.h"
#include "selftest.h"
#include "vmap.h"

#define NEED_HOST(r)                                                                               \
	do {                                                                                       \
		if (!platform.has_host)                                                            \
			SKIP(r, "there is no host that tracks aliases");                           \
	} while (0)

/* A strategy that caches page tables relies on their not being mapped; these tests map them. */
#define NEED_MAPPED_TABLES(r)                                                                      \
	do {                                                                                       \
		if (flush_strategy()->take_table)                                                  \
			SKIP(r, "the strategy sees to tables before they are taken");              \
	} while (0)

static bool pins_are_unchecked(void)
{
	return flush_strategy()->number == ALIAS_FLUSH_NONE;
}

/* The answer to one request. */
static enum alias_status ask_pin(uint64_t pfn, unsigned level, enum pin_op op)
{
	struct pin_req req = {.pfn = pfn, .level = (uint8_t)level, .op = op};
	struct pin_refusal why;

	return pin_batch_try(&req, 1, &why) ? why.status : ALIAS_OK;
}

static void pin_states(struct selftest_result *r)
{
	uint64_t pfn = alloc_table();

	NEED_HOST(r);
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_UNPIN) == ALIAS_BAD_STATE);
	EXPECT(r, ask_pin(pfn, 5, PIN_OP_PIN) == ALIAS_BAD_LEVEL);
	EXPECT(r, ask_pin(pfn, 0, PIN_OP_PIN) == ALIAS_BAD_LEVEL);
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_PIN) == ALIAS_OK);
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_PIN) == ALIAS_BAD_STATE);
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_UNPIN) == ALIAS_OK);
	EXPECT(r, ask_pin(1ul << 40, 1, PIN_OP_PIN) == ALIAS_BAD_FRAME);
	EXPECT(r, ask_pin(platform.shared_gpa >> PAGE_SHIFT, 1, PIN_OP_PIN) == ALIAS_BAD_FRAME);
	EXPECT(r, ask_pin(pfn, 1, 7) == ALIAS_BAD_OP);
	free_table(pfn);
}
SELFTEST(pin_states, pin_states);

static void pin_needs_pinned_children(struct selftest_result *r)
{
	uint64_t upper = alloc_table(), lower = alloc_table();

	NEED_HOST(r);
	if (pins_are_unchecked())
		SKIP(r, "strategy none checks nothing");
	set_pte(pfn_to_virt(upper), make_pte(lower, PTE_TABLE));
	EXPECT(r, ask_pin(upper, 2, PIN_OP_PIN) == ALIAS_CHILD_UNPINNED);
	EXPECT(r, ask_pin(lower, 1, PIN_OP_PIN) == ALIAS_OK);
	EXPECT(r, ask_pin(upper, 2, PIN_OP_PIN) == ALIAS_OK);
	EXPECT(r, ask_pin(upper, 0, PIN_OP_UNPIN) == ALIAS_OK);
	EXPECT(r, ask_pin(lower, 0, PIN_OP_UNPIN) == ALIAS_OK);
	free_table(upper);
	free_table(lower);
}
SELFTEST(pin_needs_pinned_children, pin_needs_pinned_children);

/* A batch with one op that is refused: the others are done. */
static void pin_batch_goes_on(struct selftest_result *r)
{
	struct pin_req reqs[3];
	struct pin_refusal why;

	NEED_HOST(r);
	for (unsigned i = 0; i < 3; i++)
		reqs[i] = (struct pin_req){.pfn = alloc_table(), .level = 1, .op = PIN_OP_PIN};
	reqs[1].level = 9;
	EXPECT(r, pin_batch_try(reqs, 3, &why));
	EXPECT(r, why.status == ALIAS_BAD_LEVEL && why.req.pfn == reqs[1].pfn);
	EXPECT(r, ask_pin(reqs[0].pfn, 0, PIN_OP_UNPIN) == ALIAS_OK);
	EXPECT(r, ask_pin(reqs[1].pfn, 0, PIN_OP_UNPIN) == ALIAS_BAD_STATE);
	EXPECT(r, ask_pin(reqs[2].pfn, 0, PIN_OP_UNPIN) == ALIAS_OK);
	for (unsigned i = 0; i < 3; i++)
		free_table(reqs[i].pfn);
}
SELFTEST(pin_batch_goes_on, pin_batch_goes_on);

/* A pin of a frame that is unmapped lazily: the strategy purges, and the pin is granted. */
static void pin_of_a_stale_alias(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	uint64_t pfn = alloc_table(), upcalls = stats->upcalls;
	bool traps = flush_strategy()->on_alias;
	void *addr;

	NEED_HOST(r);
	NEED_MAPPED_TABLES(r);
	purge_cost_reset(); /* no purge ahead */
	addr = vmap(&pfn, 1, PTE_KERNEL);
	EXPECT(r, addr);
	vunmap(addr);
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_PIN) == ALIAS_OK);
	EXPECT(r, stats->upcalls == upcalls + traps);
	EXPECT(r, pins_are_unchecked() || !lookup_leaf(kernel_root_pfn(), (uint64_t)addr, NULL));
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_UNPIN) == ALIAS_OK);
	vm_unmap_aliases();
	free_table(pfn);
}
SELFTEST(pin_of_a_stale_alias, pin_of_a_stale_alias);

/* The same through vm_map_ram(), whose pages lie in a block. */
static void pin_of_a_stale_block_page(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	uint64_t pfns[5], upcalls = stats->upcalls, pages = stats->upcall_pages;
	bool traps = flush_strategy()->on_alias;
	void *addr;

	NEED_HOST(r);
	NEED_MAPPED_TABLES(r);
	purge_cost_reset(); /* no purge ahead */
	for (unsigned i = 0; i < 5; i++)
		pfns[i] = alloc_table();
	addr = vm_map_ram(pfns, 5, PTE_KERNEL);
	EXPECT(r, addr);
	vm_unmap_ram(addr, 5);
	EXPECT(r, ask_pin(pfns[3], 1, PIN_OP_PIN) == ALIAS_OK);
	EXPECT(r, stats->upcalls == upcalls + traps);
	EXPECT(r, stats->upcall_pages == pages + (traps ? 5 : 0));
	EXPECT(r, ask_pin(pfns[3], 1, PIN_OP_UNPIN) == ALIAS_OK);
	vm_unmap_aliases();
	for (unsigned i = 0; i < 5; i++)
		free_table(pfns[i]);
}
SELFTEST(pin_of_a_stale_block_page, pin_of_a_stale_block_page);

/* More aliases than fit into alias_fault. */
static void pin_of_many_stale_aliases(struct selftest_result *r)
{
	uint64_t pfn = alloc_table();

	NEED_HOST(r);
	NEED_MAPPED_TABLES(r);
	for (unsigned i = 0; i < 3 * ALIAS_FAULT_VAS; i++) {
		void *addr = vmap(&pfn, 1, PTE_KERNEL);

		EXPECT(r, addr);
		vunmap(addr);
	}
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_PIN) == ALIAS_OK);
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_UNPIN) == ALIAS_OK);
	vm_unmap_aliases();
	free_table(pfn);
}
SELFTEST(pin_of_many_stale_aliases, pin_of_many_stale_aliases);

static void pin_of_a_live_alias(struct selftest_result *r)
{
	uint64_t pfn = alloc_table();
	struct pin_req req = {.pfn = pfn, .level = 1, .op = PIN_OP_PIN};
	struct pin_refusal why;
	void *addr;

	NEED_HOST(r);
	if (pins_are_unchecked())
		SKIP(r, "strategy none checks nothing");
	addr = vmap(&pfn, 1, PTE_KERNEL);
	EXPECT(r, addr);
	EXPECT(r, pin_batch_try(&req, 1, &why));
	EXPECT(r, why.status == ALIAS_HAS_ALIAS && why.fault.nr == 1 && !why.fault.more);
	EXPECT(r, why.fault.va[0] == (uint64_t)addr);
	vunmap(addr);
	vm_unmap_aliases();
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_PIN) == ALIAS_OK);
	EXPECT(r, ask_pin(pfn, 1, PIN_OP_UNPIN) == ALIAS_OK);
	free_table(pfn);
}
SELFTEST(pin_of_a_live_alias, pin_of_a_live_alias);

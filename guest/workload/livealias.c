/* SPDX-License-Identifier: MIT */
/* Pins a frame that a buffer still maps: the guest's own bug, which no purge can fix. The host must
 * refuse, and say where the mapping is. */
#include <stdbool.h>

#include "console.h"
#include "flush.h"
#include "frame.h"
#include "panic.h"
#include "pgtable.h"
#include "pin.h"
#include "platform.h"
#include "vmap.h"
#include "workload.h"

static bool refused_rightly(const struct pin_refusal *why, uint64_t pfn, uint64_t alias)
{
	return why->status == ALIAS_HAS_ALIAS && why->req.pfn == pfn && why->fault.pfn == pfn &&
	       why->fault.nr == 1 && !why->fault.more && why->fault.va[0] == alias;
}

static int run_livealias(void)
{
	bool checked = flush_strategy()->number != ALIAS_FLUSH_NONE;
	uint64_t pfn = alloc_table();
	struct pin_req req = {.pfn = pfn, .level = 1, .op = PIN_OP_PIN};
	struct pin_refusal why;
	bool refused;
	void *alias;

	if (!platform.has_host) {
		kprintf("livealias: there is no host that could refuse anything\n");
		return EXIT_CHECK_FAILED;
	}
	alias = pfn == NO_FRAME ? NULL : vmap(&pfn, 1, PTE_KERNEL);
	if (!alias) {
		kprintf("livealias: out of memory\n");
		return EXIT_CHECK_FAILED;
	}
	refused = pin_batch_try(&req, 1, &why);
	if (refused != checked) {
		kprintf("livealias: frame %#lx, in use at %p, was %s\n", pfn, alias,
			refused ? "refused unasked" : "pinned as a page table");
		return EXIT_CHECK_FAILED;
	}
	if (refused && !refused_rightly(&why, pfn, (uint64_t)alias)) {
		kprintf("livealias: frame %#lx was refused, but not for its alias at %p: it %s, "
			"%u addresses, first %#lx\n",
			pfn, alias, pin_status_name(why.status), why.fault.nr, why.fault.va[0]);
		return EXIT_CHECK_FAILED;
	}
	kprintf("livealias: frame %#lx, in use at %p, was %s\n", pfn, alias,
		refused ? "refused as page table, with that address" : "pinned unchecked");
	return EXIT_OK;
}

WORKLOAD(livealias, "pin a frame that is still mapped: expects to be refused", run_livealias);

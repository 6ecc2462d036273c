/* SPDX-License-Identifier: MIT */
/* A guest gone astray: it maps a page table writable after the pin was granted. */
#include <console.h>
#include <frame.h>
#include <panic.h>
#include <pgtable.h>
#include <pin.h>
#include <pte_updates.h>
#include <vmap.h>
#include <workload.h>

static int run_violate(void)
{
	uint64_t table = alloc_table(), next = alloc_table();
	void *alias;

	if (table == NO_FRAME || next == NO_FRAME || pin_table(table, 1))
		return EXIT_CHECK_FAILED;
	alias = vmap(&table, 1, PTE_KERNEL);
	if (!alias && tables_are_guarded()) {
		kprintf("violate: frame 0x%lx is pinned, and the host lets nobody map it writable\n",
			table);
		return EXIT_OK;
	}
	if (!alias)
		return EXIT_CHECK_FAILED;
	kprintf("violate: frame 0x%lx is pinned, and now mapped writable at %p\n", table, alias);
	/* The host looks at the tables again at the next pin, whichever that is. */
	return pin_table(next, 1) ? EXIT_CHECK_FAILED : EXIT_OK;
}

WORKLOAD(violate, "map a pinned page table writable: the host reports it", run_violate);

/* SPDX-License-Identifier: MIT */
/* A buggy guest: after the host has granted a transition, it maps the frame in a forbidden way. */
#include <string.h>

#include <balloon.h>
#include <bootargs.h>
#include <console.h>
#include <frame.h>
#include <panic.h>
#include <pgtable.h>
#include <pin.h>
#include <pte_updates.h>
#include <set_memory.h>
#include <vmap.h>
#include <workload.h>

BOOTARG(what, "workload violate: transition of the frame: table (default), memtype, ballooned");

static int make_table(uint64_t pfn)
{
	return pin_table(pfn, 1);
}

static int make_uncached(uint64_t pfn)
{
	return set_memory_type(&pfn, 1, MEMORY_UC);
}

static int make_ballooned(uint64_t pfn)
{
	return balloon_inflate(&pfn, 1);
}

static const struct kind {
	const char *name;
	int (*make)(uint64_t pfn);
	const char *is;  /* state after make() */
	const char *how; /* forbidden mapping */
	uint64_t prot;
} kinds[] = {
	{"table", make_table, "pinned", "writable", PTE_KERNEL},
	{"memtype", make_uncached, "uncached", "write-back", PTE_KERNEL},
	{"ballooned", make_ballooned, "in the balloon", "read-only",
	 PTE_KERNEL & ~(PTE_RW | PTE_D)},
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct kind *chosen_kind(void)
{
	const char *name = arg_str("what");

	for (unsigned i = 0; i < NR_KINDS; i++)
		if (!strcmp(name ? name : "table", kinds[i].name))
			return &kinds[i];
	arg_bad("what", "table, memtype or ballooned");
}

static int run_violate(void)
{
	const struct kind *kind = chosen_kind();
	uint64_t table = alloc_table(), next = alloc_table();
	void *alias;

	if (table == NO_FRAME || next == NO_FRAME || kind->make(table))
		return EXIT_CHECK_FAILED;
	alias = vmap(&table, 1, kind->prot);
	if (!alias && tables_are_write_protected()) {
		kprintf("violate: frame 0x%lx is %s, and the host does not let it be mapped %s\n",
			table, kind->is, kind->how);
		return EXIT_OK;
	}
	if (!alias)
		return EXIT_CHECK_FAILED;
	kprintf("violate: frame 0x%lx is %s, and now mapped %s at %p\n", table, kind->is, kind->how,
		alias);
	/* The host syncs at the next pin, of any frame. */
	return pin_table(next, 1) ? EXIT_CHECK_FAILED : EXIT_OK;
}

WORKLOAD(violate, "map a frame in a forbidden way: the host reports it", run_violate);

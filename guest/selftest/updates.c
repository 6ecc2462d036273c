/* SPDX-License-Identifier: MIT */
/* The host's answers to updates of page tables, if it write-protects them. */
#include <stdbool.h>

#include "flush.h"
#include "frame.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"
#include "platform.h"
#include "pte_updates.h"
#include "selftest.h"
#include "vmap.h"

#define NEED_WRITE_PROTECTION(r)                                                                   \
	do {                                                                                       \
		if (!tables_are_write_protected())                                                 \
			SKIP(r, "the host does not write-protect page tables");                    \
	} while (0)

static struct alias_update list[ALIAS_UPDATE_MAX] __attribute__((aligned(PAGE_SIZE)));

static enum alias_status call_of(uint64_t pfn, uint32_t nr)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;

	page->updates_pfn = pfn;
	page->nr_updates = nr;
	page->call_status = ALIAS_PENDING;
	outl(platform.hypercall_port, ALIAS_CALL_UPDATE);
	return page->call_status;
}

static enum alias_status call(uint32_t nr)
{
	return call_of(virt_to_pfn(list), nr);
}

static void put_update(unsigned i, uint64_t pte_gpa, uint64_t pte)
{
	list[i] = (struct alias_update){.pte_gpa = pte_gpa, .pte = pte};
	this_cpu()->vcpu_page->update_status[i] = ALIAS_PENDING;
}

static enum alias_status update_answer(unsigned i)
{
	return this_cpu()->vcpu_page->update_status[i];
}

static enum alias_status update(uint64_t pte_gpa, uint64_t pte)
{
	put_update(0, pte_gpa, pte);
	return call(1) == ALIAS_OK ? update_answer(0) : ALIAS_PENDING;
}

static void updates_are_checked(struct selftest_result *r)
{
	uint64_t table = alloc_table(), loose = alloc_table();
	uint64_t gpa = table << PAGE_SHIFT, root_entry = (kernel_root_pfn() << PAGE_SHIFT) + 5 * 8;

	NEED_WRITE_PROTECTION(r);
	EXPECT(r, !pin_table(table, 1));
	EXPECT(r, call(0) == ALIAS_BAD_CALL);
	EXPECT(r, call(ALIAS_UPDATE_MAX + 1) == ALIAS_BAD_CALL);
	EXPECT(r, call(UINT32_MAX) == ALIAS_BAD_CALL);
	EXPECT(r, call_of(1ul << 40, 1) == ALIAS_BAD_CALL);
	EXPECT(r, call_of(-1ul, 1) == ALIAS_BAD_CALL);
	EXPECT(r, call_of(1ul << 52, 1) == ALIAS_BAD_CALL);
	EXPECT(r, update(gpa + 4, 0) == ALIAS_BAD_FRAME);
	EXPECT(r, update(1ul << 45, 0) == ALIAS_BAD_FRAME);
	EXPECT(r, update(-8ul, 0) == ALIAS_BAD_FRAME);
	EXPECT(r, update(platform.shared_gpa, 0) == ALIAS_BAD_STATE);
	EXPECT(r, update(loose << PAGE_SHIFT, 0) == ALIAS_BAD_STATE);
	EXPECT(r, update(root_entry, make_pte(1ul << 38, PTE_TABLE)) == ALIAS_BAD_TABLE);
	EXPECT(r, update(root_entry, make_pte(loose, PTE_TABLE | PTE_PS)) == ALIAS_BAD_TABLE);
	EXPECT(r, update(root_entry, make_pte(table, PTE_TABLE)) == ALIAS_CHILD_UNPINNED);
	EXPECT(r, update(gpa, 0x1230) == ALIAS_OK && get_pte(pfn_to_virt(table)) == 0x1230);
	EXPECT(r, update(gpa, 0) == ALIAS_OK);
	EXPECT(r, !unpin_table(table));
	free_table(table);
	free_table(loose);
}
SELFTEST(updates_are_checked, updates_are_checked);

/* Updates before and after a refused one are done, and those with an answer are skipped. */
static void updates_go_on(struct selftest_result *r)
{
	uint64_t table = alloc_table(), gpa = table << PAGE_SHIFT;
	pte_t *entries = pfn_to_virt(table);

	NEED_WRITE_PROTECTION(r);
	EXPECT(r, !pin_table(table, 1));
	for (unsigned i = 0; i < ALIAS_UPDATE_MAX; i++)
		put_update(i, gpa + i * sizeof(pte_t), 0x100 + i * 2);
	put_update(3, gpa + 1, 0);
	this_cpu()->vcpu_page->update_status[4] = ALIAS_HAS_ALIAS;
	EXPECT(r, call(ALIAS_UPDATE_MAX) == ALIAS_OK);
	for (unsigned i = 0; i < ALIAS_UPDATE_MAX; i++) {
		bool done = i != 3 && i != 4;

		EXPECT(r, get_pte(&entries[i]) == (done ? 0x100 + i * 2 : 0));
		EXPECT(r, !done || update_answer(i) == ALIAS_OK);
	}
	EXPECT(r, update_answer(3) == ALIAS_BAD_FRAME && update_answer(4) == ALIAS_HAS_ALIAS);
	EXPECT(r, !unpin_table(table));
	free_table(table);
}
SELFTEST(updates_go_on, updates_go_on);

/* An update that links a table with a stale alias: it is purged in an upcall from within the call,
 * and what the purge writes must not get into the updates of this one. */
static void updates_pin(struct selftest_result *r)
{
	uint64_t table = alloc_table();
	uint64_t root_entry = (kernel_root_pfn() << PAGE_SHIFT) + 5 * 8;
	void *alias;

	NEED_WRITE_PROTECTION(r);
	if (!flush_strategy()->on_alias)
		SKIP(r, "the strategy has no upcall");
	alias = vmap(&table, 1, PTE_KERNEL);
	EXPECT(r, alias);
	vunmap(alias);
	EXPECT(r, update(root_entry, make_pte(table, PTE_TABLE)) == ALIAS_OK);
	EXPECT(r, update(root_entry, 0) == ALIAS_OK);
	EXPECT(r, !unpin_table(table));
	free_table(table);
}
SELFTEST(updates_pin, updates_pin);

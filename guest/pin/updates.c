/* SPDX-License-Identifier: MIT */
#include "pte_updates.h"

#include "frame.h"
#include "log.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "platform.h"
#include "smp.h"

/* Batches that a CPU can have at once: one, and one of an upcall's handler. */
#define LISTS 2u

/* Written by pte_updates_begin() while the other CPUs are idle. */
static bool write_protected;

/* One for each CPU. */
static struct {
	__cacheline bool hold;              /* its shared page holds the updates of another batch */
	unsigned depth;                     /* batches that are begun and not finished */
	struct alias_update *frames[LISTS]; /* written by pte_updates_begin(); NULL: no memory */
} lists[MAX_CPUS];

void pte_updates_begin(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		for (unsigned i = 0; i < LISTS; i++) {
			uint64_t pfn = alloc_frame();

			lists[cpu].frames[i] = pfn == NO_FRAME ? NULL : pfn_to_virt(pfn);
		}
	write_protected = true;
}

bool tables_are_write_protected(void)
{
	return write_protected;
}

void pte_updates_hold(bool hold)
{
	lists[this_cpu()->id].hold = hold;
}

void pte_updates_init(struct pte_updates *list)
{
	unsigned cpu = this_cpu()->id;

	*list = (struct pte_updates){0};
	if (!write_protected || lists[cpu].hold)
		return;
	if (lists[cpu].depth < LISTS)
		list->updates = lists[cpu].frames[lists[cpu].depth];
	lists[cpu].depth += list->updates != NULL;
}

/* Makes the call. It raises no upcall, since no update links a table that is not pinned; so the
 * shared page is in use for this long only. */
static void updates_hand_over(struct pte_updates *list)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;

	for (unsigned i = 0; i < list->nr; i++)
		page->update_status[i] = ALIAS_PENDING;
	page->updates_pfn = virt_to_pfn(list->updates);
	page->nr_updates = list->nr;
	page->call_status = ALIAS_PENDING;
	outl(platform.hypercall_port, ALIAS_CALL_UPDATE);
	if (page->call_status != ALIAS_OK)
		panic("the host refused updates of page tables: status %u", page->call_status);
	for (unsigned i = 0; i < list->nr; i++)
		list->refused += page->update_status[i] != ALIAS_OK;
	list->nr = 0;
}

void pte_updates_add(struct pte_updates *list, pte_t *pte, pte_t value)
{
	if (!list->updates) {
		change_pte(pte, value);
		return;
	}
	list->updates[list->nr++] =
		(struct alias_update){.pte_gpa = virt_to_phys(pte), .pte = value};
	if (list->nr == ALIAS_UPDATE_MAX)
		updates_hand_over(list);
}

unsigned pte_updates_finish(struct pte_updates *list)
{
	if (list->nr)
		updates_hand_over(list);
	if (list->updates)
		lists[this_cpu()->id].depth--;
	return list->refused;
}

/* SPDX-License-Identifier: MIT */
#include "pte_updates.h"

#include "log.h"
#include "panic.h"
#include "percpu.h"
#include "platform.h"

/* Written by pte_updates_begin() while the other CPUs are idle. */
static bool guarded;

/* Does this CPU's page hold updates that the host has begun with? Each CPU's own. */
static struct {
	__cacheline bool in_use;
} pages[MAX_CPUS];

void pte_updates_begin(void)
{
	guarded = true;
}

bool tables_are_guarded(void)
{
	return guarded;
}

void pte_updates_hold(bool hold)
{
	pages[this_cpu()->id].in_use = hold;
}

/* No upcall comes from within, as nothing is linked that isn't pinned. So the page is in use for no
 * longer than this, and the handler of another call's upcall may come by. */
static void hand_over(struct pte_updates *list)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;

	for (unsigned i = 0; i < list->nr; i++) {
		page->updates[i] = list->updates[i];
		page->update_status[i] = ALIAS_PENDING;
	}
	page->nr_updates = list->nr;
	page->call_status = ALIAS_PENDING;
	outl(platform.doorbell_port, ALIAS_CALL_UPDATE);
	if (page->call_status != ALIAS_OK)
		panic("the host does not take updates of page tables: status %u",
		      page->call_status);
	for (unsigned i = 0; i < list->nr; i++)
		list->refused += page->update_status[i] != ALIAS_OK;
	list->nr = 0;
}

void pte_updates_add(struct pte_updates *list, pte_t *pte, pte_t value)
{
	if (!guarded || pages[this_cpu()->id].in_use) {
		change_pte(pte, value);
		return;
	}
	list->updates[list->nr++] =
		(struct alias_update){.pte_gpa = virt_to_phys(pte), .pte = value};
	if (list->nr == ALIAS_UPDATE_MAX)
		hand_over(list);
}

unsigned pte_updates_finish(struct pte_updates *list)
{
	if (list->nr)
		hand_over(list);
	return list->refused;
}

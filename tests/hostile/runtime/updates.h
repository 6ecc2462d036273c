/* SPDX-License-Identifier: MIT */
/* The call for updates, as full and as wrong as one likes. */
#ifndef HOSTILE_UPDATES_H
#define HOSTILE_UPDATES_H

#include "hostile.h"

static struct alias_update updates[ALIAS_UPDATE_MAX] __attribute__((aligned(4096)));

static inline void put_update(unsigned i, uint64_t pte_gpa, uint64_t pte)
{
	updates[i] = (struct alias_update){.pte_gpa = pte_gpa, .pte = pte};
	page_of(0)->update_status[i] = ALIAS_PENDING;
}

/* The status of the call. */
static inline unsigned update_from(uint64_t pfn, uint32_t nr)
{
	struct alias_vcpu_page *page = page_of(0);

	page->updates_pfn = pfn;
	page->nr_updates = nr;
	page->call_status = ALIAS_PENDING;
	outl(HYPERCALL_PORT, ALIAS_CALL_UPDATE);
	return page->call_status;
}

static inline unsigned update(uint32_t nr)
{
	return update_from(pfn_of(updates), nr);
}

static inline unsigned update_answer(unsigned i)
{
	return *(volatile uint8_t *)&page_of(0)->update_status[i];
}

#endif

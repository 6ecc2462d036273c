/* SPDX-License-Identifier: MIT */
/* Without a host that write-protects tables: plain stores. */
#ifndef PTE_UPDATES_H
#define PTE_UPDATES_H

#include <log.h>

struct pte_updates {
	unsigned refused;
};

static inline void pte_updates_init(struct pte_updates *updates)
{
	updates->refused = 0;
}

static inline void pte_updates_add(struct pte_updates *updates, pte_t *pte, pte_t value)
{
	(void)updates;
	change_pte(pte, value);
}

static inline unsigned pte_updates_finish(struct pte_updates *updates)
{
	return updates->refused;
}

#endif

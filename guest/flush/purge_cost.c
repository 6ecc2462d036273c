/* SPDX-License-Identifier: MIT */
#include "purge_cost.h"

#include <string.h>

#include "bootargs.h"
#include "cpu.h"
#include "percpu.h"
#include "spinlock.h"
#include "vmap.h"

BOOTARG(ahead, "trap, trap-range: 1 (default): purge before a pin if that is cheaper; 0: never");

/* When upcalls have cost EXCESS upcalls more than purges before the pins would have, everything
 * is purged before the next HOLDS pins; each time that this proves right again, before twice as
 * many, up to HOLDS_MAX. After these pins, AGAIN upcalls are enough to start again. */
#define EXCESS    4u
#define AGAIN     1u
#define HOLDS     64u
#define HOLDS_MAX 4096u
/* A sample counts as at most so many averages, since a CPU may have waited for its turn. */
#define OUTLIER 4u

/* For all CPUs together, since a purge is for all of them. Averages weigh the newest sample by one
 * eighth. The lock is held for a few instructions only, never during a purge or a pin. */
static struct account {
	struct spinlock lock;
	uint64_t upcall_ticks; /* average ticks of an upcall; 0: none so far */
	uint64_t
		flush_ticks; /* average ticks of a purge's flushes: what each further purge costs */
	uint64_t page_ticks; /* average ticks of a purge for each PTE cleared: unavoidable */
	uint64_t lost; /* ticks that upcalls cost more than purges before the pins would have */
	unsigned ahead,
		holds; /* pins before which to purge everything: still to come, and at the start */
	uint64_t upcall_spent; /* ticks of upcalls and their flushes since the last purge of
				  everything */
	uint64_t stale_before; /* stale pages at the last pin */
	bool saved;            /* a purge before the last pin would have found something */
} account;

static void add_to_average(uint64_t *of, uint64_t newest)
{
	if (*of && newest > OUTLIER * *of)
		newest = OUTLIER * *of;
	*of = *of ? (7 * *of + newest) / 8 : newest;
}

/* Number of PTEs that a purge would clear. */
static uint64_t stale_pages(void)
{
	return __atomic_load_n(&kernel_vmap.stale_pages, __ATOMIC_RELAXED);
}

uint64_t purge_cost_all(void)
{
	uint64_t since = rdtsc(), flushes = this_cpu()->stats->flush_ticks;
	uint64_t cleared = vm_unmap_aliases();
	uint64_t ticks = rdtsc() - since;

	flushes = this_cpu()->stats->flush_ticks - flushes;
	spin_lock(&account.lock);
	account.upcall_spent = 0;
	if (cleared) {
		add_to_average(&account.flush_ticks, flushes);
		add_to_average(&account.page_ticks,
			       (ticks > flushes ? ticks - flushes : 0) / cleared);
	}
	spin_unlock(&account.lock);
	return cleared;
}

void purge_cost_upcall(uint64_t ticks)
{
	spin_lock(&account.lock);
	add_to_average(&account.upcall_ticks, ticks);
	account.upcall_spent += ticks + account.flush_ticks;
	/* A purge before the pin would have cost a purge, too; what is lost is the upcall only. */
	account.lost += account.upcall_ticks;
	account.saved = false;
	spin_unlock(&account.lock);
}

bool purge_cost_all_pays(void)
{
	bool pays;

	spin_lock(&account.lock);
	pays = account.upcall_spent >= stale_pages() * account.page_ticks;
	spin_unlock(&account.lock);
	return pays;
}

static void begin_ahead(struct account *a)
{
	a->holds = a->holds ? a->holds * 2 : HOLDS;
	if (a->holds > HOLDS_MAX)
		a->holds = HOLDS_MAX;
	a->ahead = a->holds;
	a->lost = (EXCESS - AGAIN) * a->upcall_ticks;
}

/* The last pin met no alias. That saved the flush of a purge if there was more to purge than at the
 * pin before it; else a purge would have found nothing. */
static void note_saved(struct account *a, uint64_t stale)
{
	if (a->saved)
		a->lost -= a->lost < a->flush_ticks ? a->lost : a->flush_ticks;
	if (!a->lost)
		a->holds = 0;
	a->saved = stale > a->stale_before;
	a->stale_before = stale;
}

/* Does a purge before this pin pay, with so many stale pages? */
static bool pays_ahead(struct account *a, uint64_t stale)
{
	if (!a->ahead && a->lost > EXCESS * a->upcall_ticks && arg_u64("ahead", 1))
		begin_ahead(a);
	if (!a->ahead) {
		note_saved(a, stale);
		return false;
	}
	if (!stale)
		return false;
	a->ahead--;
	a->stale_before = 0;
	a->saved = false;
	return true;
}

void purge_ahead(void)
{
	bool pays;

	spin_lock(&account.lock);
	pays = pays_ahead(&account, stale_pages());
	spin_unlock(&account.lock);
	if (pays)
		purge_cost_all();
}

void purge_cost_reset(void)
{
	memset(&account, 0, sizeof(account));
}

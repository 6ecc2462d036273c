/* SPDX-License-Identifier: MIT */
#include "purge_cost.h"

#include <string.h>

#include "bootargs.h"
#include "cpu.h"
#include "percpu.h"
#include "spinlock.h"
#include "vmap.h"

BOOTARG(ahead, "trap, trap-range: 1 (default): purge before a pin where that is cheaper; 0: never");

/* So many upcalls' worth may be lost before purges go ahead; for how many pins then, at first and
 * at most. After these only so few: each that meets an alias costs an upcall. */
#define PATIENCE  4u
#define AGAIN     1u
#define HOLDS     64u
#define HOLDS_MAX 4096u
/* A sample counts for at most so many averages: a single one may have waited for a processor. */
#define OUTLIER 4u

/* Of all CPUs together: a purge is for all of them, whoever makes it, and what one has learned
 * holds for the others. Averages weigh the newest with an eighth. The lock is held for a few
 * instructions only, never over a purge or a pin. */
static struct account {
	struct spinlock lock;
	uint64_t upcall_ticks; /* of an upcall, on average; 0: there was none yet */
	uint64_t flush_ticks;  /* of the flushes of a purge: what each further purge costs */
	uint64_t page_ticks;   /* of a purge, for each PTE that it clears: to be paid anyway */
	uint64_t lost;         /* by upcalls where purges ahead were cheaper */
	unsigned ahead, holds; /* pins before which everything is purged: to come, of how many */
	uint64_t upcall_spent; /* ticks of upcalls and their flushes since everything was purged */
	uint64_t stale_before; /* pages, at the last pin */
	bool saved;            /* the last pin: a purge ahead of it would have found something */
} account;

static void average(uint64_t *of, uint64_t newest)
{
	if (*of && newest > OUTLIER * *of)
		newest = OUTLIER * *of;
	*of = *of ? (7 * *of + newest) / 8 : newest;
}

/* PTEs that a purge would clear. */
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
		average(&account.flush_ticks, flushes);
		average(&account.page_ticks, (ticks > flushes ? ticks - flushes : 0) / cleared);
	}
	spin_unlock(&account.lock);
	return cleared;
}

void purge_cost_upcall(uint64_t ticks)
{
	spin_lock(&account.lock);
	average(&account.upcall_ticks, ticks);
	account.upcall_spent += ticks + account.flush_ticks;
	/* A purge ahead would have been one, too: lost is only what the upcall took. */
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
	a->lost = (PATIENCE - AGAIN) * a->upcall_ticks;
}

/* The pin before met no alias: it has saved the flush of a purge, if there was more to be purged
 * than at the one before that. Only then would one ahead of it have found anything. */
static void note_saved(struct account *a, uint64_t stale)
{
	if (a->saved)
		a->lost -= a->lost < a->flush_ticks ? a->lost : a->flush_ticks;
	if (!a->lost)
		a->holds = 0;
	a->saved = stale > a->stale_before;
	a->stale_before = stale;
}

/* Does a purge ahead of this pin pay, where so many pages are stale? */
static bool pays_ahead(struct account *a, uint64_t stale)
{
	if (!a->ahead && a->lost > PATIENCE * a->upcall_ticks && arg_u64("ahead", 1))
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

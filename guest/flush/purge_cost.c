/* SPDX-License-Identifier: MIT */
#include "purge_cost.h"

#include <string.h>

#include "bootargs.h"
#include "cpu.h"
#include "percpu.h"
#include "smp.h"
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

/* Each CPU's own, but for `ahead`, which others may read (relaxed: it is a hint). Averages weigh
 * the newest with an eighth. */
static struct account {
	__cacheline uint64_t upcall_ticks; /* of an upcall, on average; 0: there was none yet */
	uint64_t flush_ticks;  /* of the flushes of a purge: what each further purge costs */
	uint64_t page_ticks;   /* of a purge, for each PTE that it clears: to be paid anyway */
	uint64_t lost;         /* by upcalls where purges ahead were cheaper */
	unsigned ahead, holds; /* pins before which everything is purged: to come, of how many */
	uint64_t upcall_spent; /* ticks of upcalls since everything was purged */
	uint64_t stale_before; /* pages, at the last pin */
	bool saved;            /* the last pin: a purge ahead of it would have found something */
} accounts[MAX_CPUS];

static struct account *account(void)
{
	return &accounts[this_cpu()->id];
}

/* Does another CPU purge ahead now? It has learned what this one would learn, too. */
static bool others_are_ahead(const struct account *a)
{
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		if (&accounts[cpu] != a && __atomic_load_n(&accounts[cpu].ahead, __ATOMIC_RELAXED))
			return true;
	return false;
}

static void set_ahead(struct account *a, unsigned pins)
{
	__atomic_store_n(&a->ahead, pins, __ATOMIC_RELAXED);
}

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
	struct account *a = account();
	uint64_t since = rdtsc(), flushes = this_cpu()->stats->flush_ticks;
	uint64_t cleared = vm_unmap_aliases();
	uint64_t ticks = rdtsc() - since;

	flushes = this_cpu()->stats->flush_ticks - flushes;
	a->upcall_spent = 0;
	if (!cleared)
		return 0;
	average(&a->flush_ticks, flushes);
	average(&a->page_ticks, (ticks > flushes ? ticks - flushes : 0) / cleared);
	return cleared;
}

void purge_cost_upcall(uint64_t ticks)
{
	struct account *a = account();

	average(&a->upcall_ticks, ticks);
	a->upcall_spent += ticks;
	if (a->lost < (PATIENCE - AGAIN) * a->upcall_ticks && others_are_ahead(a))
		a->lost = (PATIENCE - AGAIN) * a->upcall_ticks;
	/* A purge ahead would have been one, too: lost is only what the upcall took. */
	a->lost += a->upcall_ticks;
	a->saved = false;
}

bool purge_cost_all_pays(void)
{
	const struct account *a = account();

	return a->upcall_spent >= stale_pages() * a->page_ticks;
}

static void begin_ahead(struct account *a)
{
	a->holds = a->holds ? a->holds * 2 : HOLDS;
	if (a->holds > HOLDS_MAX)
		a->holds = HOLDS_MAX;
	set_ahead(a, a->holds);
	a->lost = (PATIENCE - AGAIN) * a->upcall_ticks;
}

/* The pin before met no alias: it has saved the flush of a purge, if there was more to be purged
 * than at the one before that. Only then would one ahead of it have found anything. */
static void note_saved(struct account *a)
{
	uint64_t stale = stale_pages();

	if (a->saved)
		a->lost -= a->lost < a->flush_ticks ? a->lost : a->flush_ticks;
	if (!a->lost)
		a->holds = 0;
	a->saved = stale > a->stale_before;
	a->stale_before = stale;
}

void purge_ahead(void)
{
	struct account *a = account();

	if (!a->ahead && a->lost > PATIENCE * a->upcall_ticks && arg_u64("ahead", 1))
		begin_ahead(a);
	if (!a->ahead) {
		note_saved(a);
	} else if (stale_pages()) {
		set_ahead(a, a->ahead - 1);
		purge_cost_all();
		a->stale_before = 0;
		a->saved = false;
	}
}

void purge_cost_reset(void)
{
	memset(accounts, 0, sizeof(accounts));
}

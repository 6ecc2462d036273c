/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stddef.h>
#include <string.h>

#include "bootargs.h"
#include "console.h"
#include "flush.h"
#include "percpu.h"
#include "platform.h"

#define WRONG_EVERY 64u

/* Wrong logs, to test the host. */
enum log_bug { BUG_NONE, BUG_OMIT, BUG_INVENT, BUG_VALUE };

/* The value of log_wanted for which this log is kept; 0: none is kept. Written with the strategy
 * lock held for writing. */
static uint32_t logging;

/* Written by log_init(), constant afterwards. */
static enum log_bug log_bug;

static struct alias_common_page *log_common_page(void)
{
	return phys_to_virt(platform.shared_gpa);
}

static struct alias_log *my_log(void)
{
	return &this_cpu()->vcpu_page->log;
}

/* The gpa of an entry: page tables are reached by the direct map. */
static inline uint64_t entry_gpa(const pte_t *pte)
{
	return (uint64_t)pte - DIRECT_BASE;
}

/* --- records ---------------------------------------------------------------------------------- */

/* The counters are written by this CPU, but for the host's `tail`. Stores are releases, so that the
 * host sees what was stored before each. */
static inline void log_append(struct alias_log *log, uint64_t entry, pte_t from, pte_t to)
{
	uint64_t head = log->head;

	if (head - __atomic_load_n(&log->tail, __ATOMIC_ACQUIRE) >= ALIAS_LOG_RECORDS) {
		__atomic_store_n(&log->lost, log->lost + 1, __ATOMIC_RELEASE);
		return;
	}
	this_cpu()->log_records[head % ALIAS_LOG_RECORDS] =
		(struct alias_log_record){entry, from, to};
	__atomic_store_n(&log->head, head + 1, __ATOMIC_RELEASE);
}

/* Shall this record be wrong? Prints a line the first time. */
static bool wrong_now(uint64_t entry)
{
	static struct {
		__cacheline uint64_t changes;
	} cpus[MAX_CPUS];
	static bool said;

	if (++cpus[this_cpu()->id].changes % WRONG_EVERY)
		return false;
	if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		kprintf("log: a wrong record for the entry at %#lx\n", entry);
	return true;
}

static void append_wrong(struct alias_log *log, uint64_t entry, pte_t from, pte_t to)
{
	const pte_t elsewhere = 1ul << PAGE_SHIFT;

	switch (log_bug) {
	case BUG_INVENT:
		log_append(log, entry, from, to);
		log_append(log, entry, to, to ^ elsewhere);
		break;
	case BUG_VALUE:
		log_append(log, entry, from, to ^ elsewhere);
		break;
	default:
		break;
	}
}

/* A full fence: the host sees the name, or this CPU sees the `tail` of the host's last sync. */
static inline void name_entry(struct alias_log *log, uint64_t entry)
{
	__atomic_store_n(&log->changing, entry, __ATOMIC_SEQ_CST);
}

static inline void unname_entry(struct alias_log *log)
{
	__atomic_store_n(&log->changing, 0, __ATOMIC_RELEASE);
}

/* The change is made: writes its record, and takes the name back. */
static inline void record_change(struct alias_log *log, uint64_t entry, pte_t from, pte_t to,
				 bool may_be_wrong)
{
	if (may_be_wrong && wrong_now(entry))
		append_wrong(log, entry, from, to);
	else
		log_append(log, entry, from, to);
	unname_entry(log);
}

/* --- changes ---------------------------------------------------------------------------------- */

static inline void change_and_record(pte_t *pte, pte_t value, bool may_be_wrong)
{
	struct alias_log *log = my_log();
	uint64_t entry = entry_gpa(pte);
	pte_t old = get_pte(pte);

	name_entry(log, entry);
	set_pte(pte, value);
	record_change(log, entry, old, value, may_be_wrong);
}

static void change_logged(pte_t *pte, pte_t value)
{
	change_and_record(pte, value, false);
}

static void change_logged_wrongly(pte_t *pte, pte_t value)
{
	change_and_record(pte, value, true);
}

/* Written with `logging`. */
static void (*change)(pte_t *pte, pte_t value) = set_pte;

void change_pte(pte_t *pte, pte_t value)
{
	change(pte, value);
}

pte_t replace_pte(pte_t *pte, pte_t old, pte_t value)
{
	struct alias_log *log = logging ? my_log() : NULL;
	uint64_t entry = entry_gpa(pte);
	pte_t seen = old;
	bool replaced;

	if (log)
		name_entry(log, entry);
	replaced = __atomic_compare_exchange_n(pte, &seen, value, false, __ATOMIC_ACQ_REL,
					       __ATOMIC_ACQUIRE);
	if (log && replaced)
		record_change(log, entry, old, value, log_bug != BUG_NONE);
	else if (log)
		unname_entry(log);
	return replaced ? value : seen;
}

/* --- beginning and ending --------------------------------------------------------------------- */

static uint32_t log_wanted(void)
{
	return platform.log_gpa ? __atomic_load_n(&log_common_page()->log_wanted, __ATOMIC_ACQUIRE)
				: 0;
}

/* With the strategy lock held for writing, or at boot. */
static void log_switch(void)
{
	logging = log_wanted();
	if (!logging)
		change = set_pte;
	else
		change = log_bug ? change_logged_wrongly : change_logged;
	__atomic_store_n(&log_common_page()->logging, logging, __ATOMIC_RELEASE);
}

static enum log_bug chosen_bug(void)
{
	static const char *const names[] = {
		[BUG_OMIT] = "log-omit",
		[BUG_INVENT] = "log-invent",
		[BUG_VALUE] = "log-value",
	};
	const char *name = arg_str("bug");

	for (enum log_bug b = BUG_OMIT; name && b <= BUG_VALUE; b++)
		if (!strcmp(name, names[b]))
			return b;
	return BUG_NONE;
}

void log_init(void)
{
	log_bug = chosen_bug();
	if (platform.log_gpa)
		log_switch();
}

void log_poll(void)
{
	if (!platform.log_gpa || log_wanted() == logging || strategy_is_read_locked())
		return;
	strategy_write_lock();
	log_switch();
	strategy_write_unlock();
}

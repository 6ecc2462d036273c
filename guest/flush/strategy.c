/* SPDX-License-Identifier: MIT */
/* Which strategy it is, and how it becomes another one while all CPUs are at work. */
#include "flush.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "bootargs.h"
#include "console.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "platform.h"
#include "smp.h"
#include "tlb.h"
#include "vmap.h"
#include "workload.h"

BOOTARG(flush, "strategy: none, legacy, eager, nolazy, eager-pte, quicklist, page-bit, "
	       "trap (default), trap-range");

BOOTARG(shootdown, "how other CPUs' TLBs are flushed: ipi, host (where it can), or auto "
		   "(default): host for trap and trap-range, else ipi");

#define DEFAULT_STRATEGY "trap"

extern const struct flush_ops __start_strategies[], __stop_strategies[];

/* Written by flush_strategy_init(), and by whoever has `changing`, when all CPUs have left. */
static const struct flush_ops *strategy;

/* Held to change it: CPUs may leave, but not enter (sequentially consistent with `depth`). */
static struct spinlock changing = SPINLOCK_INIT;

/* How often each CPU has entered and not left: its own, read by whoever has `changing`. */
static struct {
	__cacheline uint32_t depth;
} users[MAX_CPUS];

static const struct flush_ops *find(const char *name)
{
	for (const struct flush_ops *s = __start_strategies; s < __stop_strategies; s++)
		if (!strcmp(s->name, name))
			return s;
	return NULL;
}

void flush_strategy_init(void)
{
	const char *name = arg_str("flush");
	char names[KPRINTF_MAX] = "one of:";
	size_t len = strlen(names);

	strategy = find(name ? name : DEFAULT_STRATEGY);
	if (strategy)
		return;
	for (const struct flush_ops *s = __start_strategies; s < __stop_strategies; s++)
		if (len < sizeof(names))
			len += ksnprintf(names + len, sizeof(names) - len, " %s", s->name);
	arg_bad("flush", names);
}

const struct flush_ops *flush_strategy(void)
{
	return strategy;
}

const char *flush_strategy_name(void)
{
	return strategy->name;
}

void strategy_read_lock(void)
{
	uint32_t *depth = &users[this_cpu()->id].depth;

	if (*depth) {
		++*depth;
		return;
	}
	for (;;) {
		__atomic_store_n(depth, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&changing.locked, __ATOMIC_SEQ_CST))
			return;
		__atomic_store_n(depth, 0, __ATOMIC_RELEASE);
		while (__atomic_load_n(&changing.locked, __ATOMIC_RELAXED))
			cpu_relax();
	}
}

void strategy_read_unlock(void)
{
	uint32_t *depth = &users[this_cpu()->id].depth;

	__atomic_store_n(depth, *depth - 1, __ATOMIC_RELEASE);
}

/* With `changing` held. CPUs that are at work may shoot at each other and at this one meanwhile. */
static void wait_until_all_left(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		while (__atomic_load_n(&users[cpu].depth, __ATOMIC_SEQ_CST))
			cpu_relax();
}

bool flush_inside(void)
{
	return users[this_cpu()->id].depth;
}

void flush_alone(void (*fn)(void))
{
	BUG_ON(flush_inside());
	spin_lock(&changing);
	wait_until_all_left();
	fn();
	spin_unlock(&changing);
}

static struct alias_common_page *common_page(void)
{
	return platform.has_host ? phys_to_virt(platform.shared_gpa) : NULL;
}

/* Who relies on the host's look relies on its flush as well; the others are as they were. */
static bool shoots_by_host(const struct flush_ops *ops)
{
	const char *how = arg_str("shootdown");

	if (!how || !strcmp(how, "auto"))
		return ops->shoots_by_host;
	if (strcmp(how, "ipi") && strcmp(how, "host"))
		arg_bad("shootdown", "ipi, host or auto");
	return !strcmp(how, "host");
}

static void install(const struct flush_ops *ops)
{
	strategy = ops;
	tlb_shoot_by_host(shoots_by_host(ops));
	kernel_vmap.ops = &ops->vmap;
	if (common_page())
		__atomic_store_n(&common_page()->strategy, ops->number, __ATOMIC_RELAXED);
}

/* With `changing` held, and all CPUs out. */
static int change(const struct flush_ops *to)
{
	vm_unmap_aliases_in(&kernel_vmap);
	if (to->start && to->start()) {
		kprintf("guest: no memory to switch to strategy %s\n", to->name);
		return -1;
	}
	if (strategy->stop)
		strategy->stop();
	install(to);
	return 0;
}

int flush_strategy_set(const char *name)
{
	const struct flush_ops *to = find(name);
	int result = 0;

	BUG_ON(users[this_cpu()->id].depth);
	if (!to || to->number == ALIAS_FLUSH_NONE || strategy->number == ALIAS_FLUSH_NONE) {
		kprintf("guest: strategy %s is %s\n", name,
			to ? "not to be switched to or from while the guest runs" : "unknown");
		return -1;
	}
	spin_lock(&changing);
	wait_until_all_left();
	if (to != strategy)
		result = change(to);
	spin_unlock(&changing);
	return result;
}

void flush_strategy_poll(void)
{
	struct alias_common_page *page = common_page();
	uint32_t wanted;

	if (!page || !__atomic_load_n(&page->wanted_strategy, __ATOMIC_RELAXED) ||
	    users[this_cpu()->id].depth)
		return;
	wanted = __atomic_exchange_n(&page->wanted_strategy, 0, __ATOMIC_ACQ_REL);
	for (const struct flush_ops *s = __start_strategies; wanted && s < __stop_strategies; s++)
		if (s->number == wanted)
			flush_strategy_set(s->name);
}

void flush_strategy_start(void)
{
	if (strategy->start && strategy->start())
		panic("no memory for strategy %s", strategy->name);
	install(strategy);
}

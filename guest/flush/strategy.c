/* SPDX-License-Identifier: MIT */
/* Keeps the strategy, and changes it while all CPUs are at work. */
#include "flush.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "bootargs.h"
#include "console.h"
#include "panic.h"
#include "pgtable.h"
#include "platform.h"
#include "strategy_lock.h"
#include "tlb.h"
#include "vmap.h"
#include "workload.h"

BOOTARG(flush, "strategy: none, legacy, eager, nolazy, eager-pte, quicklist, page-bit, "
	       "trap (default), trap-range");

BOOTARG(shootdown, "how other CPUs' TLBs are flushed: ipi, host (if it can), or auto "
		   "(default): host for trap and trap-range, else ipi");

#define DEFAULT_STRATEGY "trap"

extern const struct flush_ops __start_strategies[], __stop_strategies[];

/* Written by flush_strategy_init(), and then with the strategy lock held for writing. */
static const struct flush_ops *strategy;

static const struct flush_ops *strategy_by_name(const char *name)
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

	strategy = strategy_by_name(name ? name : DEFAULT_STRATEGY);
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

static struct alias_common_page *strategy_common_page(void)
{
	return platform.has_host ? phys_to_virt(platform.shared_gpa) : NULL;
}

/* By default the strategies that have the host check have it flush, too; the others send IPIs, as
 * Linux does. */
static bool host_shoots(const struct flush_ops *ops)
{
	const char *how = arg_str("shootdown");

	if (!how || !strcmp(how, "auto"))
		return ops->shoots_by_host;
	if (strcmp(how, "ipi") && strcmp(how, "host"))
		arg_bad("shootdown", "ipi, host or auto");
	return !strcmp(how, "host");
}

static void strategy_install(const struct flush_ops *ops)
{
	strategy = ops;
	tlb_shoot_by_host(host_shoots(ops));
	kernel_vmap.ops = &ops->vmap;
	if (strategy_common_page())
		__atomic_store_n(&strategy_common_page()->strategy, ops->number, __ATOMIC_RELAXED);
}

/* With the strategy lock held for writing. Returns 0, or -1 when out of memory. */
static int strategy_switch(const struct flush_ops *to)
{
	vm_unmap_aliases_in(&kernel_vmap);
	if (to->start && to->start()) {
		kprintf("guest: no memory to switch to strategy %s\n", to->name);
		return -1;
	}
	if (strategy->stop)
		strategy->stop();
	strategy_install(to);
	return 0;
}

int flush_strategy_set(const char *name)
{
	const struct flush_ops *to = strategy_by_name(name);
	int result = 0;

	if (!to || to->number == ALIAS_FLUSH_NONE || strategy->number == ALIAS_FLUSH_NONE) {
		kprintf("guest: strategy %s %s\n", name,
			to ? "cannot be switched to or from while the guest runs" : "is unknown");
		return -1;
	}
	strategy_write_lock();
	if (to != strategy)
		result = strategy_switch(to);
	strategy_write_unlock();
	return result;
}

void flush_strategy_poll(void)
{
	struct alias_common_page *page = strategy_common_page();
	uint32_t wanted;

	if (!page || !__atomic_load_n(&page->wanted_strategy, __ATOMIC_RELAXED) ||
	    strategy_is_read_locked())
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
	strategy_install(strategy);
}

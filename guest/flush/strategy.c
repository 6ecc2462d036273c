/* SPDX-License-Identifier: MIT */
/* Which strategy it is. */
#include "flush.h"

#include <stddef.h>
#include <string.h>

#include "bootargs.h"
#include "console.h"
#include "workload.h"

BOOTARG(flush, "strategy: none, eager, trap (default), trap-range");

#define DEFAULT_STRATEGY "trap"

extern const struct flush_ops __start_strategies[], __stop_strategies[];

/* Written by flush_strategy_init(), constant afterwards. */
static const struct flush_ops *strategy;

void flush_strategy_init(void)
{
	const char *name = arg_str("flush");
	char names[KPRINTF_MAX] = "one of:";
	size_t len = strlen(names);

	if (!name)
		name = DEFAULT_STRATEGY;
	for (const struct flush_ops *s = __start_strategies; s < __stop_strategies; s++) {
		if (!strcmp(s->name, name))
			strategy = s;
		if (len < sizeof(names))
			len += ksnprintf(names + len, sizeof(names) - len, " %s", s->name);
	}
	if (!strategy)
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

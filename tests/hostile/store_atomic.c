/* SPDX-License-Identifier: MIT */
/*
 * A mapping of a pinned table is made writable by atomic operations: a bit is set, a value is
 * exchanged, compared and exchanged, added.
 *
 * dirty, scan, log: each is reported with its address at the next sync. strict: not one is done,
 * and registers are as they were.
 */
#include "hostile.h"

#define FORBIDDEN(code, ...)                                                                       \
	do {                                                                                       \
		uint64_t now = start();                                                            \
		TRY(done, code, ##__VA_ARGS__);                                                    \
		if (common()->logging)                                                             \
			log_change(gpa_of(e), now, *(volatile uint64_t *)e);                       \
		judge_forbidden(e, now, done);                                                     \
	} while (0)

static uint64_t *const e = &tree.vm_l1[0];

/* Read-only once more. */
static uint64_t start(void)
{
	require(set(e, entry(spare[0], P)));
	host_sync();
	return *(volatile uint64_t *)e;
}

static void hostile_main(void)
{
	uint64_t with_rw = entry(spare[0], P | RW), two = 2;
	bool done = false;

	require(pin(spare[0], 1) == ALIAS_OK);
	FORBIDDEN("lock btsq $1, (%1)", "r"(e));
	FORBIDDEN("movq %2, %%rax; xchgq %%rax, (%1)", "r"(e), "r"(with_rw));
	FORBIDDEN("movq (%1), %%rax; lock cmpxchgq %2, (%1)", "r"(e), "r"(with_rw));
	FORBIDDEN("movq %2, %%rax; lock xaddq %%rax, (%1)", "r"(e), "r"(two));
	FORBIDDEN("lock orq %2, (%1)", "r"(e), "r"(two));
}

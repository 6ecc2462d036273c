/* SPDX-License-Identifier: MIT */
#include "strategy_lock.h"

#include "cpu.h"
#include "panic.h"
#include "percpu.h"
#include "smp.h"
#include "spinlock.h"

/* The writer's. While it is taken, CPUs may release the lock but not take it (sequentially
 * consistent with `depth`). */
static struct spinlock writer = SPINLOCK_INIT;

/* How often each CPU holds the lock for reading. That CPU writes it, the writer reads it. */
static struct {
	__cacheline uint32_t depth;
} readers[MAX_CPUS];

void strategy_read_lock(void)
{
	uint32_t *depth = &readers[this_cpu()->id].depth;

	if (*depth) {
		++*depth;
		return;
	}
	for (;;) {
		__atomic_store_n(depth, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&writer.locked, __ATOMIC_SEQ_CST))
			return;
		__atomic_store_n(depth, 0, __ATOMIC_RELEASE);
		while (__atomic_load_n(&writer.locked, __ATOMIC_RELAXED))
			cpu_relax();
	}
}

void strategy_read_unlock(void)
{
	uint32_t *depth = &readers[this_cpu()->id].depth;

	__atomic_store_n(depth, *depth - 1, __ATOMIC_RELEASE);
}

bool strategy_is_read_locked(void)
{
	return readers[this_cpu()->id].depth;
}

/* Interrupts stay on, so that this CPU answers the TLB shootdowns of the readers it waits for. */
void strategy_write_lock(void)
{
	BUG_ON(strategy_is_read_locked());
	spin_lock(&writer);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		while (__atomic_load_n(&readers[cpu].depth, __ATOMIC_SEQ_CST))
			cpu_relax();
}

void strategy_write_unlock(void)
{
	spin_unlock(&writer);
}

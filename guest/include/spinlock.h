/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks. A lock that an interrupt handler takes must be taken by the _irqsave functions
 * everywhere. All others are held with interrupts on, so that CPUs that wait for them answer TLB
 * shootdowns. With an _irqsave lock held, no shootdown, pin or allocation of a table is allowed.
 */
#ifndef SPINLOCK_H
#define SPINLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <cpu.h>

struct spinlock {
	uint32_t locked; /* 0 or 1; taken with acquire, released with release */
};

#define SPINLOCK_INIT                                                                              \
	{                                                                                          \
		0                                                                                  \
	}

static inline bool spin_trylock(struct spinlock *lock)
{
	return !__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE);
}

/* Takes a lock that is held; adds the time it waits to lock_spin of the statistics. */
void spin_lock_slow(struct spinlock *lock);

static inline void spin_lock(struct spinlock *lock)
{
	if (!spin_trylock(lock))
		spin_lock_slow(lock);
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}

static inline uint64_t spin_lock_irqsave(struct spinlock *lock)
{
	uint64_t flags = irq_save();

	spin_lock(lock);
	return flags;
}

static inline void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags)
{
	spin_unlock(lock);
	irq_restore(flags);
}

#endif

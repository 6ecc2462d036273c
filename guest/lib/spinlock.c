/* SPDX-License-Identifier: MIT */
#include "spinlock.h"

#include "percpu.h"
#include "spin_wait.h"

void spin_lock_slow(struct spinlock *lock)
{
	struct spin_wait wait = spin_wait_begin();

	do
		while (__atomic_load_n(&lock->locked, __ATOMIC_RELAXED))
			spin_wait_round(&wait);
	while (!spin_trylock(lock));
	count_stat(lock_spin, wait.ticks);
}

/* SPDX-License-Identifier: MIT */
/*
 * The read-write lock of the strategy (flush.h). A CPU holds it for reading while it does what
 * depends on the strategy: maps or unmaps in the kernel's vmap space, takes or gives back page
 * tables, pins. So the strategy stays the same all the way. The writer changes the strategy, or
 * turns the log on or off.
 *
 * Readers wait for a writer, so take the lock with interrupts on, without any lock that a mapping
 * or a purge takes, and not from interrupt handlers.
 */
#ifndef STRATEGY_LOCK_H
#define STRATEGY_LOCK_H

#include <stdbool.h>

/* For reading; may be nested on the same CPU. */
void strategy_read_lock(void);
void strategy_read_unlock(void);
/* Does this CPU hold the lock for reading? */
bool strategy_is_read_locked(void);

/* For writing: waits until no CPU holds the lock. The caller must not hold it for reading. */
void strategy_write_lock(void);
void strategy_write_unlock(void);

#endif

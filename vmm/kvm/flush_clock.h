/* SPDX-License-Identifier: MIT */
/*
 * Which vCPUs' TLBs may still hold a mapping that is gone from the tables? As Xen tells it: a clock
 * ticks before each flush of a vCPU; the vCPU is stamped with that tick when its flush has been
 * done; a frame is stamped with the time when its last mapping was found gone. A flush of a vCPU
 * whose stamp is newer began after that.
 *
 * Only flushes that the host forces tick and stamp. What the guest loads into CR3, with or without
 * its no-flush bit, and what it says of its own flushes, is not seen here.
 *
 * The order that all depends on: who stamps a frame has first seen the mapping gone, then reads the
 * clock; who flushes ticks first, then flushes, then stamps. With 64 bits the clock doesn't come
 * round.
 */
#ifndef VMM_KVM_FLUSH_CLOCK_H
#define VMM_KVM_FLUSH_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Any thread may read and tick it (sequentially consistent). */
struct flush_clock {
	_Atomic uint64_t now; /* from 1 on */
};

/* Of one vCPU: written by its own thread alone, while it is out of the guest; read by all. */
struct flush_stamp {
	_Atomic uint64_t at; /* the tick before its last flush; 0: never flushed */
};

void flush_clock_init(struct flush_clock *clock);
/* The time to stamp a frame with, or whatever was found gone before the call. */
uint64_t flush_clock_now(const struct flush_clock *clock);
/* Before a flush begins: what its vCPU is to be stamped with afterwards. */
uint64_t flush_clock_tick(struct flush_clock *clock);
/* That flush has been done: the vCPU runs nothing of the guest before it has taken effect. */
void flush_stamp_set(struct flush_stamp *stamp, uint64_t tick);
uint64_t flush_stamp_get(const struct flush_stamp *stamp);
/* May a vCPU of this stamp still hold what was found gone at that time? */
bool flush_is_due(uint64_t stamp, uint64_t gone_at);

#endif

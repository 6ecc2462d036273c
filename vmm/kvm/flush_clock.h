/* SPDX-License-Identifier: MIT */
/*
 * Which vCPUs' TLBs may still hold a mapping that is gone from the page tables? As in Xen (its
 * tlbflush timestamps), a clock ticks before each flush of a vCPU, and the vCPU is stamped with
 * that tick after the flush. A frame is stamped with the time at which its last mapping was found
 * gone. If a vCPU's stamp is newer, its flush began after that.
 *
 * Only flushes that the host forces tick and stamp. The guest's own CR3 loads, with or without
 * PCID's no-flush bit, and its reports of flushes do not.
 *
 * Order. To stamp a frame: see the mapping gone, then read the clock. To flush: tick, then flush,
 * then stamp. The clock has 64 bits and does not wrap around.
 */
#ifndef VMM_KVM_FLUSH_CLOCK_H
#define VMM_KVM_FLUSH_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Any thread may read it and tick (sequentially consistent). */
struct flush_clock {
	_Atomic uint64_t now; /* from 1 on */
};

/* The stamp of one vCPU: written by its own thread, out of the guest; read by any thread. */
struct flush_stamp {
	_Atomic uint64_t at; /* the tick of its last flush; 0: never flushed */
};

void flush_clock_init(struct flush_clock *clock);
/* Returns the time to stamp a frame with whose mapping was found gone before this call. */
uint64_t flush_clock_now(const struct flush_clock *clock);
/* Ticks, before a flush. Returns the stamp for after the flush. */
uint64_t flush_clock_tick(struct flush_clock *clock);
/* Stamps the vCPU after a flush: it runs no more guest code before the flush takes effect. */
void flush_stamp_set(struct flush_stamp *stamp, uint64_t tick);
uint64_t flush_stamp_get(const struct flush_stamp *stamp);
/* May a vCPU with this stamp still hold a mapping that was found gone at time `gone_at`? */
bool flush_is_due(uint64_t stamp, uint64_t gone_at);

#endif

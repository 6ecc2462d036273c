/* SPDX-License-Identifier: MIT */
/*
 * TLB flushes, and the clock that tells the host about them (alias_abi.h, struct
 * alias_common_page).
 *
 * A shootdown flushes the TLBs of all CPUs by IPIs: a CPU describes the flush in a slot of its own,
 * sets its bit in a mask of every other CPU, sends one IPI to all, flushes its own TLB, and waits
 * until all have acknowledged. Any number of CPUs may do so at once. While a CPU waits, it serves
 * the shootdowns of others; so interrupts may be on or off, and two CPUs that wait for each other
 * both go on. Spinlocks may be held, if they are taken with interrupts on everywhere.
 *
 * Instead, the host can flush the TLBs of all vCPUs (ALIAS_CALL_FLUSH); halted vCPUs then go on
 * sleeping. The call uses the caller's shared page, so it must not be made while a batch is being
 * written there.
 */
#ifndef TLB_H
#define TLB_H

#include <stdbool.h>
#include <stdint.h>

/* When a flush was, by the TSC. */
struct tlb_flush {
	uint64_t start, end;
};

/* Larger ranges are flushed by flushing everything. */
#define TLB_FLUSH_PAGES 33u

/* Flushes all entries of this CPU's TLB, global ones too. Does not advance the clock. */
void flush_tlb_local_full(void);

/* From now on the TLBs of other CPUs are flushed by the host, if it can (true), or by IPIs (false).
 * Returns the previous choice. */
bool tlb_shoot_by_host(bool yes);

/* Flushes the kernel addresses [start, end), page-aligned, from the TLBs of all CPUs; (0,
 * UINT64_MAX) is everything. On return no CPU uses a translation from before the call. Does not
 * advance the clock. */
void flush_tlb_kernel_range(uint64_t start, uint64_t end);

/*
 * The clock. To clear entries that a TLB may hold after the host can see them gone, do this under
 * the vmap layer's purge lock, which all users of the clock share:
 *
 * 	s = clear_epoch_begin();
 * 	... clear the entries, all in [start, end) ...
 * 	flush_tlb_clear_epoch(s, start, end);
 *
 * With the last call the caller promises that [start, end) covers all entries that were cleared in
 * epochs up to s and not flushed by an earlier such call. flush_tlb_kernel_range() can't advance
 * the clock for that reason: even a flush of everything may have begun before another CPU cleared
 * an entry in the epoch that it had begun.
 *
 * Code that flushes *before* the host can see the entries gone needs no clock: for example, it
 * loads another root on every CPU before it unpins one.
 */

/* Increments `cleared` (release) and returns the new value. */
uint64_t clear_epoch_begin(void);
/* flush_tlb_kernel_range(); then sets `flushed` to s, unless it is larger already. Returns when the
 * flush was, which has no record (origin.h): that is left to the caller. */
struct tlb_flush flush_tlb_clear_epoch(uint64_t s, uint64_t start, uint64_t end);

/* Once, on the boot CPU, when the direct map is complete. */
void tlb_init(void);
/* The host offers ALIAS_CALL_FLUSH. Called once, by pin_init(). */
void tlb_host_flushes(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Flushing TLBs, and the clock that tells the host about it (alias_abi.h, struct
 * alias_common_page).
 *
 * A shootdown: the CPU that wants it describes it in its own slot, sets its bit in a mask of
 * every other CPU, sends one IPI, flushes itself, and waits until all have acknowledged. Any number
 * of CPUs may do so at once. While waiting it serves what others ask of it, so it may be called
 * with interrupts on or off, and two CPUs that shoot at each other never wait for ever. Spinlocks
 * may be held, but only those that are taken with interrupts on everywhere.
 *
 * Or else the host is asked to flush them all, which disturbs no CPU that is halted. The call goes
 * through the caller's shared page, so it is not to be made while that is being filled.
 */
#ifndef TLB_H
#define TLB_H

#include <stdbool.h>
#include <stdint.h>

/* A range of more pages than this is flushed by flushing everything. */
#define TLB_FLUSH_PAGES 33u

/* Flushes everything, global entries too, on this CPU. Moves no clock. */
void flush_tlb_local_full(void);

/* From now on the other CPUs' TLBs are flushed by the host, if it can, or by IPIs. Returns what it
 * was before. */
bool tlb_shoot_by_host(bool yes);

/* On all CPUs, what they hold of the kernel's [start, end), page-aligned; (0, UINT64_MAX) is
 * everything. On return no CPU uses translations older than the call. Moves no clock: it promises
 * nothing about entries elsewhere. */
void flush_tlb_kernel_range(uint64_t start, uint64_t end);

/*
 * The clock. Whoever removes entries that the host can see gone before the TLBs have forgotten
 * them does, all under one lock that all who use the clock share (the vmap layer's purge lock):
 *
 *	s = clear_epoch_begin();
 *	... clear the entries, all in [start, end) ...
 *	flush_tlb_clear_epoch(s, start, end);
 *
 * By the last call the caller promises that [start, end) covers everything that was cleared under
 * the clock up to s and not yet flushed by an earlier such call. That is why
 *flush_tlb_kernel_range() does not move the clock: even a flush of everything may have begun before
 *an entry of an epoch that another CPU has begun was really written.
 *
 * Who flushes *before* the entries go out of sight (leaves a root on every CPU before unpinning it)
 * needs no clock.
 */

/* Advances `cleared` (release) and returns the new value. */
uint64_t clear_epoch_begin(void);
/* flush_tlb_kernel_range(), then `flushed` becomes s, or stays if it is beyond. */
void flush_tlb_clear_epoch(uint64_t s, uint64_t start, uint64_t end);

/* Once, on the boot CPU, when the direct map is complete. */
void tlb_init(void);
/* Once, by pin_init(): the host flushes TLBs for who asks (ALIAS_FLUSHES). */
void tlb_host_flushes(void);

#endif

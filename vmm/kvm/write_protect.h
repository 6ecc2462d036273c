/* SPDX-License-Identifier: MIT */
/*
 * Write protection of single frames (--track strict): neither the guest nor a device can write
 * them. It needs KVM's shadow MMU.
 *
 * A write-protected frame is read-only in the mapping that KVM and the devices use. No memory slot
 * changes for it, and other vCPUs go on running. A device's transfer that reaches such a frame ends
 * there (EFAULT). When write_protect_gfn() returns, no processor can write the frame with any
 * translation: before that, the kernel removes the frame from all shadow page tables and TLBs (MMU
 * notifier).
 *
 * What happens to a store of the guest (seen on Linux 6.1, kvm_amd npt=0):
 *   - Mostly KVM_RUN fails with EFAULT, with RIP *at* the instruction and nothing done.
 *   - If KVM itself shadows the frame as a table above L1, it emulates the instruction. A plain
 *     store then exits by KVM_EXIT_MMIO with RIP behind it, and one with a lock prefix by
 *     KVM_EXIT_INTERNAL_ERROR with RIP at it.
 * So the host does the store itself, and has KVM zap what the old entry mapped.
 *
 * A read-only memory *slot* would give KVM_EXIT_MMIO for all stores. But KVM does not learn of the
 * host's store then: its shadow page tables keep the old entry, even after INVLPG and CR3 loads of
 * the guest. Atomic operations would arrive as plain stores, and each pin would delete and create
 * slots, 220k instructions with nothing running.
 *
 * With NPT or EPT none of this works: there a processor's page walk itself writes to the table.
 *
 * A page walk sets accessed and dirty bits. In a write-protected table it can't, and the guest
 * would get a page fault; so the bits are set in advance (pin/strict_pte.h).
 */
#ifndef VMM_KVM_WRITE_PROTECT_H
#define VMM_KVM_WRITE_PROTECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kvm/memory.h"

/* Unless stated otherwise, `mem` is mapped twice. */

/* Write-protects the frame, which must not be write-protected yet. Returns false on failure, the
 * first time after a message: the host limits the number of mappings (vm.max_map_count), and a
 * single frame needs two. */
bool write_protect_gfn(const struct memory *mem, uint64_t pfn);
/* Makes it writable again. Returns false on failure, the first time after a message: it may have to
 * split a mapping, for which the same limit holds. The frame then stays write-protected. */
bool write_unprotect_gfn(const struct memory *mem, uint64_t pfn);
/* Takes back the write_protect_gfn() before it, of this frame. That fails only if the host itself
 * does: the frame may have been between others that are write-protected, and other threads may have
 * used up all mappings since, but some are kept in reserve, without which nothing is protected.
 * Returns false after a message then. */
bool write_protect_undo(const struct memory *mem, uint64_t pfn);
/* Any thread, and any `mem`. False for frames outside of memory. */
bool gfn_is_write_protected(const struct memory *mem, uint64_t pfn);

/* How often a frame was write-protected, or made writable again, so far. Any thread. */
uint64_t write_protect_changes(const struct memory *mem);

/* A device's store to [to, to + len), a range from memory_ptr(), in any `mem`. Bytes in
 * write-protected frames are dropped; otherwise like memory_put(). If memory is mapped twice, it
 * waits while a protection changes. */
void memory_store(const struct memory *mem, void *to, const void *from, size_t len);
/* The same, for [gpa, gpa + len), which must be in memory. */
void memory_store_unprotected(const struct memory *mem, uint64_t gpa, const void *from, size_t len);

/* When they return, no vCPU uses an older translation of this frame, or of anything. zap_all()
 * costs some 200k instructions, and the misses that follow. Return false after a message: then the
 * guest must not run on. */
bool zap_gfn(const struct memory *mem, uint64_t pfn);
bool zap_all(const struct memory *mem, int vm_fd);

#endif

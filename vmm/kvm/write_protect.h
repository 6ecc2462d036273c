/* SPDX-License-Identifier: MIT */
/*
 * Frames that neither guest nor device can write: page tables, where KVM runs its shadow MMU.
 *
 * A write-protected frame is read-only in the mapping that KVM and the devices use, and nothing
 * else tells it from the frames around it: no memory slot changes when a protection does, other
 * vCPUs go on, and a request of a device that is under way is cut off at this frame alone (EFAULT).
 * From write_protect_gfn() on no processor can write it, whatever translation it had, as the kernel
 * takes the frame out of all shadow tables and TLBs before it returns (MMU notifier).
 *
 * What happens to a store of the guest, found out on Linux 6.1 with kvm_amd npt=0:
 *   - mostly KVM_RUN fails with EFAULT, with RIP *at* the instruction and nothing done;
 *   - where KVM itself shadows the frame as a table above L1 it emulates the instruction: a plain
 *     store then is a KVM_EXIT_MMIO with RIP past it, and one with a lock prefix is
 *     KVM_EXIT_INTERNAL_ERROR with RIP at it.
 * (A read-only *slot* gives KVM_EXIT_MMIO for all, but the host must then do the store, and KVM
 * never learns of it: its shadow tables keep the old entry even over INVLPG and CR3 loads of the
 * guest. Atomic operations come as plain stores that way, and each pin would cost the deletion and
 * creation of slots, 220k instructions with nothing running.)
 *
 * So the host does the store here, and has KVM zap what the old entry meant. With NPT or EPT
 * none of this can work: there a walk by the processor is itself a write to the table.
 *
 * A processor's walk sets accessed and dirty bits; in a write-protected table it cannot, and the
 * guest would get a page fault. Whoever protects a table presets them (pin/strict_pte.h).
 */
#ifndef VMM_KVM_WRITE_PROTECT_H
#define VMM_KVM_WRITE_PROTECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kvm/memory.h"

/* `mem` is mapped twice where nothing else is said. */

/* False if it could not be made read-only, after saying why if it is the first: the host has a
 * limit of mappings (vm.max_map_count, two for a frame that lies alone). Not for a frame that is
 * write-protected. */
bool write_protect_gfn(const struct memory *mem, uint64_t pfn);
void write_unprotect_gfn(const struct memory *mem, uint64_t pfn);
/* Any thread; any `mem`; false for frames outside of memory. */
bool gfn_is_write_protected(const struct memory *mem, uint64_t pfn);

/* A device's store to [to, to + len), which memory_ptr() has given, of any `mem`: bytes that lie in
 * a write-protected frame go nowhere. Otherwise as memory_put(). Where memory is mapped twice it
 * waits for a protection that is changing. */
void memory_store(const struct memory *mem, void *to, const void *from, size_t len);
/* The same by gpa; [gpa, gpa + len) is in memory. */
void memory_store_unprotected(const struct memory *mem, uint64_t gpa, const void *from, size_t len);

/* From the return on no vCPU uses a translation of this frame, or any translation at all, that was
 * made before. The latter costs some 200k instructions and the misses that follow. False after
 * saying why: the guest must not go on. */
bool zap_gfn(const struct memory *mem, uint64_t pfn);
bool zap_all(const struct memory *mem, int vm_fd);

#endif

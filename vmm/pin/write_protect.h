/* SPDX-License-Identifier: MIT */
/*
 * Frames that neither guest nor device can write: page tables, where KVM runs its shadow MMU.
 *
 * A guarded frame is read-only in the mapping that KVM and the devices use, and nothing else tells
 * it from the frames around it: no memory slot changes when one is guarded or released, other vCPUs
 * go on, and a request of a device that is under way is cut off at this frame alone (EFAULT). From
 * write_protect_gfn() on no processor can write it, whatever translation it had, as the kernel
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
 * So the host does the store here, and makes KVM forget what the old entry meant. With NPT or EPT
 * none of this can work: there a walk by the processor is itself a write to the table.
 *
 * A processor's walk sets accessed and dirty bits; in a guarded frame it cannot, and the guest
 * would get a page fault. Whoever guards a table presets them (pte_preset_accessed()).
 */
#ifndef VMM_PIN_WRITE_PROTECT_H
#define VMM_PIN_WRITE_PROTECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct write_protect;
struct memory;

/* NULL when out of memory. `mem` is mapped twice and outlives it; from here on memory_store() heeds
 * it. */
struct write_protect *write_protect_new(struct memory *mem, int vm_fd);
void write_protect_free(struct write_protect *wp);

/* False if it could not be made read-only, after saying why if it is the first: the host has a
 * limit of mappings (vm.max_map_count, two for a frame that lies alone). Not for a frame that is
 * held. */
bool write_protect_gfn(struct write_protect *wp, uint64_t pfn);
void write_unprotect_gfn(struct write_protect *wp, uint64_t pfn);
/* Any thread; false for frames outside of memory. */
bool gfn_is_write_protected(const struct write_protect *wp, uint64_t pfn);

/* For devices: memory_store(). */
void write_protect_device_store(struct write_protect *wp, uint64_t gpa, const void *from,
				size_t len);

/* The value that a present entry of a guarded table gets instead of `pte`: accessed, and dirty if
 * it is a writable leaf. */
uint64_t pte_preset_accessed(uint64_t pte, unsigned level);
/* Writes an entry of a guarded frame, whole. */
void write_protected_pte_store(struct write_protect *wp, uint64_t pte_gpa, uint64_t pte);

/* What has to be forgotten when an entry of a table that some vCPU may use is changed. */
enum zap {
	ZAP_NOTHING, /* it had no meaning, or has lost nothing of it */
	ZAP_GFN,     /* what maps the one frame of the old entry, by whichever address */
	ZAP_ALL,     /* everything */
};
enum zap zap_scope(const struct write_protect *wp, unsigned level, uint64_t old, uint64_t pte);
/* From the return on no vCPU uses a translation of this frame, or any translation at all, that was
 * made before. The latter costs some 200k instructions and the misses that follow. False after
 * saying why: the guest must not go on. */
bool zap_gfn(struct write_protect *wp, uint64_t pfn);
bool zap_all(struct write_protect *wp);

#endif

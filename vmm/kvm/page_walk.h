/* SPDX-License-Identifier: MIT */
/* What a guest's own page tables allow it, which KVM_TRANSLATE does not say. */
#ifndef VMM_KVM_PAGE_WALK_H
#define VMM_KVM_PAGE_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/kvm.h>

struct memory;

/* Bits of the error code of a page fault. */
#define PF_PRESENT 1u
#define PF_WRITE   2u
#define PF_USER    4u

enum page_walk {
	PAGE_ALLOWED,
	PAGE_FAULTS,
	PAGE_NOT_CANONICAL, /* the address is none: #GP, not #PF */
};

/*
 * Walks the tables in CR3 for a load or store at `va`, in 64-bit mode with four levels, as the
 * processor would with these registers: present bits, read-only, ring 3, CR0.WP, and SMAP with
 * RFLAGS.AC. (Reserved bits are KVM_TRANSLATE's. The guest has no protection keys and no fifth
 * level: with the shadow MMU KVM offers no keys, and CPUID hides the level.) If something is mapped
 * there, allowed or not, *gpa is where, by the same reading of the tables; it may be outside of
 * memory. Otherwise *gpa stays. With PAGE_FAULTS, *error_code is that of the page fault; otherwise
 * that of one for a page that is not there. Own thread of the vCPU, or any if it is out of the
 * guest.
 */
enum page_walk page_walk(const struct memory *mem, const struct kvm_sregs *sregs, uint64_t rflags,
			 uint64_t va, bool write, uint64_t *gpa, unsigned *error_code);

#endif

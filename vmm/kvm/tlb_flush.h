/* SPDX-License-Identifier: MIT */
/*
 * A service to the guest: the TLBs of all its vCPUs flushed by one call, in place of an IPI to
 * each.
 *
 * KVM is made to forget where a page of the guest's lies, and so has every vCPU flush before it
 * runs on (KVM_REQ_TLB_FLUSH of Linux's virt/kvm/kvm_main.c). One that is halted isn't woken for
 * that, and one whose turn it isn't is not waited for; neither leaves KVM_RUN. If KVM knows nothing
 * of the page, it has forgotten it, and flushed, since the guest used it last.
 *
 * What the guest is told so it may rely on, as on an acknowledged IPI. To the host it is no
 * evidence about a guest that means to deceive: such a one could have its page written by other
 * means.
 */
#ifndef VMM_KVM_TLB_FLUSH_H
#define VMM_KVM_TLB_FLUSH_H

#include <stdbool.h>

/* Not where KVM shadows the guest's tables, as the flush leaves alone what it has of them; nor
 * where the host runs under Hyper-V, which may flush the second stage alone. Else false, and why
 * (static).
 */
bool tlb_flush_is_possible(const char **why);
/* Does KVM do as said above? Tried on a VM of its own; `kvm_fd` is /dev/kvm. False where it
 * doesn't, or doesn't tell (KVM_GET_STATS_FD: Linux 5.17). */
bool tlb_flush_works(int kvm_fd);
/* What was written to tables before the calling vCPU last wrote to this page of memory_share() is
 * what all vCPUs go by when they run on. False, with errno, if that could not be done. */
bool tlb_flush_all(void *page);

#endif

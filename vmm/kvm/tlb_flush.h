/* SPDX-License-Identifier: MIT */
/*
 * ALIAS_CALL_FLUSH: flushes the TLBs of all vCPUs, as a service to the guest, which needs no IPIs
 * then.
 *
 * The host drops its mapping of one page that the guest uses (MADV_DONTNEED). KVM then makes every
 * vCPU flush its TLB before it runs on (KVM_REQ_TLB_FLUSH in Linux's virt/kvm/kvm_main.c). This
 * wakes no halted vCPU, waits for no vCPU that is not running, and takes no vCPU out of KVM_RUN. If
 * KVM does not map the page, it has dropped it, and flushed, since the guest used it last.
 *
 * The guest may rely on this flush as on acknowledged IPIs. For the host it is no evidence against
 * a hostile guest, which may have had the page written in another way.
 */
#ifndef VMM_KVM_TLB_FLUSH_H
#define VMM_KVM_TLB_FLUSH_H

#include <stdbool.h>

/* Returns false, and why (static string), if the flush can't be relied on: if KVM shadows the
 * guest's page tables, which the flush leaves alone, or if the host runs under Hyper-V, which may
 * flush only second-stage translations. */
bool tlb_flush_is_possible(const char **why);
/* Tries the flush on a probe VM; `kvm_fd` is /dev/kvm. Returns false if it does not work or can't
 * be observed (that needs KVM_GET_STATS_FD, Linux 5.17). */
bool tlb_flush_works(int kvm_fd);
/* Flushes. `page` is a page of memory_share() to which the calling vCPU has just written. When it
 * returns, no vCPU uses a translation from page tables as they were before that write. Returns
 * 0, or a negated errno. */
int tlb_flush_all(void *page);

#endif

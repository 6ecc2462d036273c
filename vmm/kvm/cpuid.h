/* SPDX-License-Identifier: MIT */
/* The CPUID that vCPUs are given. */
#ifndef VMM_KVM_CPUID_H
#define VMM_KVM_CPUID_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/kvm.h>

/* Returns the answer of KVM_GET_SUPPORTED_CPUID, to be freed by free(), or NULL after a message. */
struct kvm_cpuid2 *cpuid_supported(int kvm_fd);
/* Changes it, in place, into the CPUID of vCPU `index` of `nr`: APIC id, topology, x2APIC,
 * hypervisor bit, four levels of page tables; with `tsc_deadline` also the timer of that name. May
 * be called again for the next vCPU. */
void cpuid_patch(struct kvm_cpuid2 *cpuid, uint32_t index, uint32_t nr, bool tsc_deadline);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef VMM_KVM_CPUID_H
#define VMM_KVM_CPUID_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/kvm.h>

/* What KVM supports, as KVM_GET_SUPPORTED_CPUID gives it. NULL after saying why; free() it. */
struct kvm_cpuid2 *cpuid_supported(int kvm_fd);
/* Makes a copy of it that of vCPU `index` among `nr`: APIC id, counts, x2APIC, hypervisor bit, page
 * tables of four levels. */
void cpuid_patch(struct kvm_cpuid2 *cpuid, uint32_t index, uint32_t nr, bool tsc_deadline);

#endif

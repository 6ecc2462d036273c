/* SPDX-License-Identifier: MIT */
#include "kvm/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include "say.h"

#define MAX_ENTRIES 1024u

/* Leaf 1, Intel's SDM volume 2 (CPUID), AMD's volume 3 appendix E. */
#define LEAF1_ECX_VMX          (1u << 5)
#define LEAF1_ECX_X2APIC       (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT          (1u << 28)
#define LEAF7_ECX_LA57         (1u << 16)
#define AMD_LEAF1_ECX_SVM      (1u << 2)

struct kvm_cpuid2 *cpuid_supported(int kvm_fd)
{
	/* Most hosts have 30 to 80 entries; E2BIG asks for more. */
	for (uint32_t nent = 64; nent <= MAX_ENTRIES; nent *= 2) {
		struct kvm_cpuid2 *cpuid =
			calloc(1, sizeof(*cpuid) + nent * sizeof(cpuid->entries[0]));

		if (!cpuid) {
			say_errno("memory for CPUID");
			return NULL;
		}
		cpuid->nent = nent;
		if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0)
			return cpuid;
		free(cpuid);
		if (errno != E2BIG)
			break;
	}
	say_errno("KVM_GET_SUPPORTED_CPUID");
	return NULL;
}

/* The number of bits needed for numbers below n. */
static uint32_t bits_for(uint32_t n)
{
	return n > 1 ? 32 - (uint32_t)__builtin_clz(n - 1) : 0;
}

/* Extended topology: one thread a core, all cores in one package. */
static void patch_topology(struct kvm_cpuid_entry2 *entry, uint32_t index, uint32_t nr)
{
	static const uint32_t thread = 1, core = 2;

	entry->edx = index;
	switch (entry->index) {
	case 0:
		entry->eax = 0;
		entry->ebx = 1;
		entry->ecx = thread << 8;
		break;
	case 1:
		entry->eax = bits_for(nr);
		entry->ebx = nr;
		entry->ecx = core << 8 | 1;
		break;
	default:
		entry->eax = 0;
		entry->ebx = 0;
		entry->ecx = entry->index;
	}
}

static void patch_leaf1(struct kvm_cpuid_entry2 *entry, uint32_t index, uint32_t nr,
			bool tsc_deadline)
{
	entry->ebx = (entry->ebx & 0xffff) | nr << 16 | index << 24;
	entry->ecx &= ~LEAF1_ECX_VMX;
	entry->ecx |= LEAF1_ECX_X2APIC | LEAF1_ECX_HYPERVISOR;
	if (tsc_deadline)
		entry->ecx |= LEAF1_ECX_TSC_DEADLINE;
	entry->edx &= ~LEAF1_EDX_HTT;
	if (nr > 1)
		entry->edx |= LEAF1_EDX_HTT;
}

void cpuid_patch(struct kvm_cpuid2 *cpuid, uint32_t index, uint32_t nr, bool tsc_deadline)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		switch (entry->function) {
		case 0x1:
			patch_leaf1(entry, index, nr, tsc_deadline);
			break;
		case 0x4: /* cores in the package */
			if (entry->eax & 0x1f)
				entry->eax = (entry->eax & 0x03ffffff) | (nr - 1) << 26;
			break;
		case 0x7: /* four-level page tables only (no LA57), as the tracker expects */
			if (entry->index == 0)
				entry->ecx &= ~LEAF7_ECX_LA57;
			break;
		case 0xb:
		case 0x1f:
			patch_topology(entry, index, nr);
			break;
		case 0x80000001:
			entry->ecx &= ~AMD_LEAF1_ECX_SVM;
			break;
		case 0x8000000a: /* SVM */
			entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
			break;
		case 0x80000008: /* cores in the package, bits of the APIC id for them */
			entry->ecx = (entry->ecx & ~0xf0ffu) | (nr - 1) | bits_for(nr) << 12;
			break;
		case 0x8000001e:
			entry->eax = index;
			entry->ebx = index; /* one thread a core */
			entry->ecx = 0;
			break;
		}
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * The probe VM: a small VM to try what this host's KVM really does. It has one vCPU in long mode,
 * which begins at PROBE_VM_CODE, and PROBE_VM_SIZE bytes of memory from address 0, mapped one to
 * one by its page tables.
 */
#ifndef VMM_KVM_PROBE_VM_H
#define VMM_KVM_PROBE_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kvm/vcpu.h"

#define PROBE_VM_CODE  0x1000u
#define PROBE_VM_L4    0x2000u /* page tables: L4, L3, L2, one page each */
#define PROBE_VM_GDT   0x5000u /* descriptors of the initial segments */
#define PROBE_VM_IDT   0x6000u /* empty */
#define PROBE_VM_STACK 0x8000u /* end of the stack, and of memory */
#define PROBE_VM_SIZE  PROBE_VM_STACK
#define PROBE_VM_CS    0x08u
#define PROBE_VM_PORT  0x10u /* an `out` to this port exits */

struct probe_vm {
	uint8_t *memory;
	int vm_fd;
	struct vcpu vcpu; /* without a thread */
};

/* What a check that then says nothing of this host's KVM gives as its reason. */
#define PROBE_VM_REFUSED                                                                           \
	"KVM refuses the small VM in which this is tried, for the reason given on standard error"

/* Creates the VM, with `code` loaded and a CPUID of all that KVM supports. `kvm_fd` is /dev/kvm.
 * Returns false after a message if KVM refuses something. Call probe_vm_end() in both cases. */
bool probe_vm_begin(struct probe_vm *vm, int kvm_fd, const uint8_t *code, size_t size);
void probe_vm_end(struct probe_vm *vm);

/* KVM_RUN, repeated after signals. Returns 0, or a negated errno. */
int probe_vm_run(const struct probe_vm *vm);
/* Runs until an exit. Returns true if that is an `out` to PROBE_VM_PORT. */
bool probe_vm_runs_to_out(const struct probe_vm *vm);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What KVM of this host really does, tried on a small VM of its own: one vCPU in long mode, at
 * PROBE_VM_CODE, with the first PROBE_VM_SIZE bytes of memory, which its tables map one to one.
 */
#ifndef VMM_KVM_PROBE_VM_H
#define VMM_KVM_PROBE_VM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_VM_CODE  0x1000u
#define PROBE_VM_L4    0x2000u /* the tables: L4, L3, L2, a page each */
#define PROBE_VM_GDT   0x5000u /* of the segments that it begins with */
#define PROBE_VM_IDT   0x6000u /* empty */
#define PROBE_VM_STACK 0x8000u /* it ends here, and so does memory */
#define PROBE_VM_SIZE  PROBE_VM_STACK
#define PROBE_VM_CS    0x08u
#define PROBE_VM_PORT  0x10u /* for code to exit by */

struct probe_vm {
	uint8_t *memory;
	int vm_fd, vcpu_fd;
	struct kvm_run *run;
	size_t run_size;
};

/* `kvm_fd` is /dev/kvm. Returns false where KVM refuses something; probe_vm_end() follows either
 * way.
 */
bool probe_vm_begin(struct probe_vm *vm, int kvm_fd, const uint8_t *code, size_t size);
void probe_vm_end(struct probe_vm *vm);

/* KVM_RUN, whatever signals come; 0, or -1 with errno. */
int probe_vm_run(const struct probe_vm *vm);
/* Runs on, to an `out` to PROBE_VM_PORT. */
bool probe_vm_runs_to_out(const struct probe_vm *vm);

#endif

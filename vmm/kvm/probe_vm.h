/* SPDX-License-Identifier: MIT */
/*
 * What KVM of this host really does, tried on a small VM of its own: one vCPU in long mode, at
 * TRIAL_CODE, with the first TRIAL_SIZE bytes of memory, which its tables map one to one.
 */
#ifndef VMM_KVM_PROBE_VM_H
#define VMM_KVM_PROBE_VM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRIAL_CODE  0x1000u
#define TRIAL_L4    0x2000u /* the tables: L4, L3, L2, a page each */
#define TRIAL_GDT   0x5000u /* of the segments that it begins with */
#define TRIAL_IDT   0x6000u /* empty */
#define TRIAL_STACK 0x8000u /* it ends here, and so does memory */
#define TRIAL_SIZE  TRIAL_STACK
#define TRIAL_CS    0x08u
#define TRIAL_PORT  0x10u /* for code to exit by */

struct trial {
	uint8_t *memory;
	int vm_fd, vcpu_fd;
	struct kvm_run *run;
	size_t run_size;
};

/* `kvm_fd` is /dev/kvm. Returns false where KVM refuses something; trial_end() follows either way.
 */
bool trial_begin(struct trial *trial, int kvm_fd, const uint8_t *code, size_t size);
void trial_end(struct trial *trial);

/* KVM_RUN, whatever signals come; 0, or -1 with errno. */
int trial_run(const struct trial *trial);
/* Runs on, to an `out` to TRIAL_PORT. */
bool trial_comes_to_out(const struct trial *trial);

#endif

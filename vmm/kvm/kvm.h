/* SPDX-License-Identifier: MIT */
/* Access to KVM: /dev/kvm, the capabilities that vmm needs, and a bare VM. */
#ifndef VMM_KVM_KVM_H
#define VMM_KVM_KVM_H

#include <stdbool.h>
#include <stddef.h>

/* The KVM module that is in use, and its parameter for two-dimensional paging ("npt" or "ept"). */
struct kvm_second_stage {
	const char *module, *parameter;
};

/* Fills *stage. Returns false if no module has two-dimensional paging enabled. */
bool kvm_second_stage(struct kvm_second_stage *stage);
/* Opens /dev/kvm. Returns the descriptor, or a negated errno with a sentence in `why` that names
 * cause and cure. */
int kvm_open_device(char *why, size_t size);
/* Checks the API version and the capabilities that a guest with `cpus` vCPUs needs. Returns false
 * with a sentence in `why` about what is missing. */
bool kvm_check(int kvm_fd, unsigned cpus, char *why, size_t size);
/* Opens and checks. Returns the descriptor, or a negated errno after a message. */
int kvm_open(unsigned cpus);
/* Creates a VM, without memory, vCPUs and interrupt controllers. Returns its descriptor, or a
 * negated errno after a message. */
int kvm_create_vm(int kvm_fd);

#endif

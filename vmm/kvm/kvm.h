/* SPDX-License-Identifier: MIT */
/* Getting at KVM: /dev/kvm, what it must offer, and a VM with its interrupt controllers. */
#ifndef VMM_KVM_KVM_H
#define VMM_KVM_KVM_H

#include <stdbool.h>
#include <stddef.h>

/* The module of KVM, and its parameter, that say that the processor walks a second stage of tables.
 */
struct kvm_second_stage {
	const char *module, *parameter;
};

/* False: no module says so. */
bool kvm_second_stage(struct kvm_second_stage *stage);
/* Opens /dev/kvm. Returns the fd, or a negated errno with the sentence that names cause and cure
 * in `why`. */
int kvm_open_device(char *why, size_t size);
/* Are the API version and all capabilities there that a guest with `cpus` vCPUs needs? Else says
 * in `why` what is missing. */
bool kvm_check(int kvm_fd, unsigned cpus, char *why, size_t size);
/* Both. Returns the fd, or a negative number after saying why. */
int kvm_open(unsigned cpus);
/* A VM with PIC, IOAPIC and local APICs in the kernel. Returns its fd, or a negated errno after
 * saying why. */
int kvm_create_vm(int kvm_fd);

#endif

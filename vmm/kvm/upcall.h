/* SPDX-License-Identifier: MIT */
/* A pin can fault like a page fault: the exception is raised at the `out` that asked for it. */
#ifndef VMM_KVM_UPCALL_H
#define VMM_KVM_UPCALL_H

#include <stdbool.h>
#include <stddef.h>

struct vcpu;

/* Where KVM takes the vCPU past the instruction before it exits, nothing can be raised at it. */
#define UPCALL_BROKEN                                                                              \
	"this host's KVM goes past an `out` before it exits for it, so no exception can be "       \
	"raised there: use KVM on the processor's own virtualization (kvm_intel, kvm_amd)"

/* Can it be raised? Tried on a VM of its own; `kvm_fd` is /dev/kvm. Else says why not in `why`. */
bool upcall_check(int kvm_fd, unsigned vector, char *why, size_t size);
/* The same, seen from an `out` that a guest has exited for, which this completes. Own thread. */
bool upcall_is_possible(struct vcpu *vcpu);

/* Raises `vector` (an exception without error code) in the guest with RIP at the I/O instruction of
 * the current exit, so that the handler's IRETQ does it again. The vCPU's own thread, while it
 * handles that exit. Returns 0, or a negated errno after saying which ioctl failed; -EBUSY if
 * another exception is under way. */
int upcall_raise(struct vcpu *vcpu, unsigned vector);

/* Raises the exception where RIP is, nothing of an exit being left to complete. Own thread; errors
 * as above. */
#define NO_ERROR_CODE (-1)
int vcpu_raise(struct vcpu *vcpu, unsigned vector, int error_code);
/* Takes back an exception that KVM has queued and not delivered. */
int vcpu_unraise(struct vcpu *vcpu);

#endif

/* SPDX-License-Identifier: MIT */
/* The upcall: an exception raised at the `out` of a hypercall. */
#ifndef VMM_KVM_UPCALL_H
#define VMM_KVM_UPCALL_H

#include <stdbool.h>
#include <stddef.h>

struct vcpu;

/* Some KVMs move RIP past the `out` before they exit; then no exception can be raised at it. */
#define UPCALL_BROKEN                                                                              \
	"this host's KVM moves RIP past an `out` before it exits, so no exception can be "         \
	"raised there: use KVM on the processor's own virtualization (kvm_intel, kvm_amd)"

/* Tries an upcall on a probe VM; `kvm_fd` is /dev/kvm. Returns false with a sentence in `why` if it
 * does not work. */
bool upcall_check(int kvm_fd, unsigned vector, char *why, size_t size);
/* Is RIP of this vCPU still at the `out` for which it has exited? Completes that exit. Own
 * thread. */
bool upcall_is_possible(struct vcpu *vcpu);

/* Raises exception `vector`, without error code, with RIP at the I/O instruction of the current
 * exit, so that the handler's IRETQ executes it again. The vCPU's own thread, in its exit handler.
 * Returns 0, a negated errno after a message that names the ioctl, or -EBUSY if another exception
 * is pending. */
int upcall_raise(struct vcpu *vcpu, unsigned vector);

/* Raises an exception at the current RIP; no exit may be incomplete. Own thread. Returns as
 * above. */
#define NO_ERROR_CODE (-1)
int vcpu_raise(struct vcpu *vcpu, unsigned vector, int error_code);
/* Cancels an exception that KVM has queued and not delivered. */
int vcpu_unraise(struct vcpu *vcpu);

#endif

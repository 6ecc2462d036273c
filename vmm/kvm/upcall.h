/* SPDX-License-Identifier: MIT */
/* The upcall: an exception raised at the `out` of a hypercall. */
#ifndef VMM_KVM_UPCALL_H
#define VMM_KVM_UPCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_DB 1u
#define VECTOR_DF 8u
#define VECTOR_GP 13u
#define VECTOR_PF 14u

struct kvm_regs;
struct vcpu;

/* Some KVMs move RIP past the `out` before they exit; then no exception can be raised at it. */
#define UPCALL_BROKEN                                                                              \
	"this host's KVM moves RIP past an `out` before it exits, so no exception can be "         \
	"raised there: use KVM on the processor's own virtualization (kvm_intel, kvm_amd)"

/* Tries an upcall on a probe VM; `kvm_fd` is /dev/kvm. Returns false with a sentence in `why` if it
 * does not work. */
bool upcall_check(int kvm_fd, unsigned vector, char *why, size_t size);
/* Tries much quicker, before every run, on a vCPU of the guest that has not run yet: returns true
 * if RIP was past an `out` at the exit for it (false, too, if it could not be tried). `page` is
 * guest memory at `gpa`, of zeroes before and after. The vCPU's entry is to be set afterwards. */
bool upcall_is_ruled_out(struct vcpu *vcpu, void *page, uint32_t gpa);

/* Completes the I/O instruction of the current exit. Returns true if that was an `out` with RIP at
 * it, and its registers; false if it was a string instruction, which KVM has done by then, or if
 * this KVM is UPCALL_BROKEN (or, after a message, if an ioctl has failed). Own thread, in its exit
 * handler. */
bool upcall_complete_out(struct vcpu *vcpu, struct kvm_regs *at_out);
/* Right after that. Raises exception `vector`, without error code, with RIP at that `out` again, so
 * that the handler's IRETQ executes it once more. Returns 0, or a negated errno after a message
 * that names the ioctl. */
int upcall_raise(struct vcpu *vcpu, struct kvm_regs *at_out, unsigned vector);

/* Raises an exception at the current RIP; no exit may be incomplete. If the vCPU was delivering
 * another event, the two combine as on a processor: the new exception replaces it, or becomes a
 * double fault. Own thread. Returns as above, or -ESHUTDOWN, without a message, for a triple fault.
 */
#define NO_ERROR_CODE (-1)
int vcpu_raise(struct vcpu *vcpu, unsigned vector, int error_code);
/* Raises #DB for a single step that has come to its end at the current RIP. Own thread. Returns as
 * above. */
int vcpu_raise_step(struct vcpu *vcpu);
/* The exception that results when `second` is raised during the delivery of `first`; or
 * EXCEPTION_SHUTDOWN for a triple fault. A pure function. */
#define EXCEPTION_SHUTDOWN 256u
unsigned exception_on_top(unsigned first, unsigned second);
/* Returns 1 if the vCPU left the guest during the delivery of an event, else 0, or a negated errno
 * as above. Own thread. */
int vcpu_is_delivering(struct vcpu *vcpu);
/* Cancels an exception that KVM has queued and not delivered. Returns 0, or a negated errno as
 * above. Own thread. */
int vcpu_unraise(struct vcpu *vcpu);

#endif

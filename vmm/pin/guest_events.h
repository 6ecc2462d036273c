/* SPDX-License-Identifier: MIT */
/* The guest's own purges and flushes, for the trace (ALIAS_TRACES). */
#ifndef VMM_PIN_GUEST_EVENTS_H
#define VMM_PIN_GUEST_EVENTS_H

struct pin;
struct vcpu;

/* Asks KVM, the first time, what the vCPU's TSC is at a time of the host's. Its own thread. */
void guest_events_open(struct pin *pin, const struct vcpu *vcpu);
/* Takes over into the vCPU's track what the guest has recorded since the last time, where that can
 * be right, and the vCPU's TSC is known. By the vCPU's thread, or when that has ended. */
void guest_events_take(struct pin *pin, const struct vcpu *vcpu);

#endif

/* SPDX-License-Identifier: MIT */
/* The guest's own purges and flushes, for the trace (ALIAS_TRACES). */
#ifndef VMM_PIN_GUEST_EVENTS_H
#define VMM_PIN_GUEST_EVENTS_H

struct alias_vcpu_page;
struct pin;
struct vcpu;

/* Takes over into the vCPU's track what the guest has recorded since the last time, where that can
 * be right, and the vCPU's TSC is known. By the vCPU's thread, or when that has ended. */
void guest_events_take(struct pin *pin, const struct vcpu *vcpu);
/* The same, as a call of the vCPU with that page begins, if it can't wait: records are soon
 * overwritten, or upcalls are about to be answered. The first time asks KVM about the TSC. By the
 * vCPU's thread. */
void guest_events_called(struct pin *pin, const struct vcpu *vcpu,
			 const struct alias_vcpu_page *page);

#endif

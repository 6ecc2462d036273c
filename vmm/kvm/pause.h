/* SPDX-License-Identifier: MIT */
/*
 * Stopping the vCPUs for a moment. A vCPU thread that calls pause_all_vcpus() from its exit handler
 * gets all *other* vCPUs out of KVM_RUN and keeps them out until resume_vcpus(): guest memory is
 * then changed by devices only. It may also pause some of them and let the others run. One pauser
 * at a time; a second waits (and counts as out of the guest meanwhile).
 *
 * The main thread can hold all vCPUs out of the guest for longer, until it releases them. A pauser
 * does not wait for that: a vCPU that was fetched out in the middle of a pin brings it to its end,
 * with all its locks, and is then kept from going in again. So a hold never waits for a pause, nor
 * a pause for a hold.
 *
 * Order: `in_guest` is set (seq_cst) before `paused` and `held` are read by a vCPU that enters;
 * who pauses or holds sets his before he reads `in_guest`. So one of them sees the other.
 */
#ifndef VMM_KVM_PAUSE_H
#define VMM_KVM_PAUSE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct vcpu;
struct vm;

#define ALL_VCPUS UINT64_MAX

struct vcpu_pause {
	pthread_mutex_t lock;
	pthread_cond_t
		changed; /* `paused` or `held` fell, or an `in_guest` did while one was set */
	_Atomic uint64_t paused; /* the vCPUs kept out, a bit each; written under the lock */
	atomic_bool held;        /* written under the lock, by the main thread alone */
};

void vcpu_pause_init(struct vcpu_pause *pause);
void vcpu_pause_destroy(struct vcpu_pause *pause);
/* Around KVM_RUN, by the vCPU's thread. enter waits while paused or
 * held; then does what vcpu->todo asks.
 */
void vcpu_enter_guest(struct vcpu_pause *pause, struct vcpu *vcpu);
void vcpu_left_guest(struct vcpu_pause *pause, struct vcpu *vcpu);
/* `self` is the calling vCPU (which is out of the guest), or NULL for another thread. */
void pause_all_vcpus(struct vm *vm, struct vcpu *self);
/* Of the others only those of `who`, vCPU i by bit i. Returns how many had to be kicked. */
unsigned pause_vcpus(struct vm *vm, struct vcpu *self, uint64_t who);
void resume_vcpus(struct vm *vm);
/* From the return on no vCPU is in the guest, until the release. Main thread; both may be repeated.
 * A stopping VM must be released, or its vCPUs' threads don't end. */
void hold_all_vcpus(struct vm *vm);
void release_all_vcpus(struct vm *vm);

#endif

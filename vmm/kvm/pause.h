/* SPDX-License-Identifier: MIT */
/*
 * Pausing vCPUs. A vCPU thread that calls pause_all_vcpus() in its exit handler gets all *other*
 * vCPUs out of KVM_RUN and keeps them out until resume_vcpus(); meanwhile only devices change guest
 * memory. pause_vcpus() pauses some and lets the others run. Only one thread pauses at a time;
 * another one that wants to waits, and counts as out of the guest.
 *
 * A hold is the main thread's: it keeps all vCPUs out of the guest until it releases them. Pauses
 * and holds don't wait for each other: a vCPU that a hold got out of the guest in the middle of a
 * pin completes it, pauses and locks included, and is then kept from entering the guest.
 *
 * A debugger stops vCPUs one by one: the main thread does, or a vCPU's own thread when it has met a
 * breakpoint.
 *
 * Memory order: a vCPU that enters the guest sets `in_guest` (seq_cst) and then reads `paused`,
 * `held` and `stopped`; a thread that pauses, holds or stops sets these and then reads `in_guest`.
 * So at least one of them sees the other.
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
	pthread_cond_t changed; /* `paused`, `held` or a bit of `stopped` was cleared, or an
				   `in_guest` was while one of them was set */
	/* vCPUs that are paused, and the vCPU that pauses them: vCPU i by bit i; written under the
	 * lock. */
	_Atomic uint64_t paused;
	atomic_bool held;         /* written under the lock by the main thread */
	_Atomic uint64_t stopped; /* vCPUs that a debugger stopped; written under the lock */
};

void vcpu_pause_init(struct vcpu_pause *pause);
void vcpu_pause_destroy(struct vcpu_pause *pause);
/* Called by the vCPU's thread around KVM_RUN. vcpu_enter_guest() waits while the vCPU is paused,
 * held or stopped. */
void vcpu_enter_guest(struct vcpu_pause *pause, struct vcpu *vcpu);
void vcpu_left_guest(struct vcpu_pause *pause, struct vcpu *vcpu);
/* Pauses all other vCPUs. `self` is the calling vCPU, which is out of the guest, or NULL on another
 * thread. */
void pause_all_vcpus(struct vm *vm, struct vcpu *self);
/* Pauses the vCPUs in the set `who`, vCPU i by bit i, except `self`. Returns how many had to be
 * kicked. */
unsigned pause_vcpus(struct vm *vm, struct vcpu *self, uint64_t who);
/* Ends the pause. The thread that paused. */
void resume_vcpus(struct vm *vm);
/* Holds all vCPUs: when it returns, none is in the guest, until release_all_vcpus(). Main thread;
 * both may be repeated. Release when the VM stops, or the vCPUs' threads do not end. */
void hold_all_vcpus(struct vm *vm);
void release_all_vcpus(struct vm *vm);
bool vcpus_are_held(const struct vm *vm);
/* Stops the vCPUs in the set `who` for a debugger: when it returns, none of them is in the guest,
 * until it is released. Main thread. Release all when the VM stops. */
void debug_stop_vcpus(struct vm *vm, uint64_t who);
void debug_release_vcpus(struct vm *vm, uint64_t who);
/* Keeps the calling vCPU from entering the guest again until it is released, and sets its bit in
 * `hits` (release). If it is stopped already, does nothing and returns false: once
 * debug_stop_vcpus() returns, none of those sets its bit. */
bool debug_stop_self(struct vm *vm, const struct vcpu *self, _Atomic uint64_t *hits);

#endif

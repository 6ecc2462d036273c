/* SPDX-License-Identifier: MIT */
/*
 * Stopping the vCPUs for a moment. A vCPU thread that calls world_pause() from its exit handler
 * gets all *other* vCPUs out of KVM_RUN and keeps them out until world_resume(): guest memory is
 * then changed by devices only. One pauser at a time; a second waits (and counts as out of the
 * guest meanwhile).
 *
 * Order: `in_guest` is set (seq_cst) before `paused` is read by a vCPU that enters; the pauser sets
 * `paused` before it reads `in_guest`. So one of them sees the other.
 */
#ifndef VMM_WORLD_H
#define VMM_WORLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct machine;
struct vcpu;

struct world {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* `paused` fell, or an `in_guest` fell while paused */
	atomic_bool paused;     /* written under the lock */
};

void world_init(struct world *world);
void world_destroy(struct world *world);
/* Around KVM_RUN, by the vCPU's thread. enter waits while paused; then does what vcpu->todo asks.
 */
void world_enter_guest(struct world *world, struct vcpu *vcpu);
void world_left_guest(struct world *world, struct vcpu *vcpu);
/* `self` is the calling vCPU (which is out of the guest), or NULL for another thread. */
void world_pause(struct machine *machine, struct vcpu *self);
void world_resume(struct machine *machine);

#endif

/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "machine.h"
#include "vcpu.h"

void world_init(struct world *world)
{
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->changed, NULL);
	atomic_init(&world->paused, false);
}

void world_destroy(struct world *world)
{
	pthread_cond_destroy(&world->changed);
	pthread_mutex_destroy(&world->lock);
}

void world_enter_guest(struct world *world, struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, true);
	while (atomic_load(&world->paused)) {
		pthread_mutex_lock(&world->lock);
		atomic_store(&vcpu->in_guest, false);
		pthread_cond_broadcast(&world->changed);
		while (atomic_load(&world->paused))
			pthread_cond_wait(&world->changed, &world->lock);
		pthread_mutex_unlock(&world->lock);
		atomic_store(&vcpu->in_guest, true);
	}
}

void world_left_guest(struct world *world, struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, false);
	if (!atomic_load(&world->paused))
		return;
	vcpu->stats.kicked++;
	/* The lock also keeps this thread from ending while the pauser is about to kick it. */
	pthread_mutex_lock(&world->lock);
	pthread_cond_broadcast(&world->changed);
	pthread_mutex_unlock(&world->lock);
}

static bool others_in_guest(const struct machine *machine, const struct vcpu *self)
{
	for (unsigned i = 0; i < machine->nr_vcpus; i++)
		if (&machine->vcpus[i] != self && atomic_load(&machine->vcpus[i].in_guest))
			return true;
	return false;
}

void world_pause(struct machine *machine, struct vcpu *self)
{
	struct world *world = &machine->world;

	pthread_mutex_lock(&world->lock);
	while (atomic_load(&world->paused))
		pthread_cond_wait(&world->changed, &world->lock);
	atomic_store(&world->paused, true);
	for (unsigned i = 0; i < machine->nr_vcpus; i++) {
		struct vcpu *vcpu = &machine->vcpus[i];

		if (vcpu != self && atomic_load(&vcpu->in_guest))
			vcpu_kick(vcpu);
	}
	while (others_in_guest(machine, self))
		pthread_cond_wait(&world->changed, &world->lock);
	pthread_mutex_unlock(&world->lock);
}

void world_resume(struct machine *machine)
{
	struct world *world = &machine->world;

	pthread_mutex_lock(&world->lock);
	atomic_store(&world->paused, false);
	pthread_cond_broadcast(&world->changed);
	pthread_mutex_unlock(&world->lock);
}

/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "machine.h"
#include "vcpu.h"

void world_init(struct world *world)
{
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->changed, NULL);
	atomic_init(&world->paused, false);
	atomic_init(&world->held, false);
}

void world_destroy(struct world *world)
{
	pthread_cond_destroy(&world->changed);
	pthread_mutex_destroy(&world->lock);
}

static bool closed(const struct world *world)
{
	return atomic_load(&world->paused) || atomic_load(&world->held);
}

void world_enter_guest(struct world *world, struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, true);
	while (closed(world)) {
		pthread_mutex_lock(&world->lock);
		atomic_store(&vcpu->in_guest, false);
		pthread_cond_broadcast(&world->changed);
		while (closed(world))
			pthread_cond_wait(&world->changed, &world->lock);
		pthread_mutex_unlock(&world->lock);
		atomic_store(&vcpu->in_guest, true);
	}
}

void world_left_guest(struct world *world, struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, false);
	if (!closed(world))
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

/* Kicks them, and waits until they are out. The lock is held, the world is closed. */
static void fetch_others(struct machine *machine, const struct vcpu *self)
{
	for (unsigned i = 0; i < machine->nr_vcpus; i++) {
		struct vcpu *vcpu = &machine->vcpus[i];

		if (vcpu != self && atomic_load(&vcpu->in_guest))
			vcpu_kick(vcpu);
	}
	while (others_in_guest(machine, self))
		pthread_cond_wait(&machine->world.changed, &machine->world.lock);
}

void world_pause(struct machine *machine, struct vcpu *self)
{
	struct world *world = &machine->world;

	pthread_mutex_lock(&world->lock);
	while (atomic_load(&world->paused))
		pthread_cond_wait(&world->changed, &world->lock);
	atomic_store(&world->paused, true);
	fetch_others(machine, self);
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

void world_hold(struct machine *machine)
{
	pthread_mutex_lock(&machine->world.lock);
	atomic_store(&machine->world.held, true);
	fetch_others(machine, NULL);
	pthread_mutex_unlock(&machine->world.lock);
}

void world_release(struct machine *machine)
{
	pthread_mutex_lock(&machine->world.lock);
	atomic_store(&machine->world.held, false);
	pthread_cond_broadcast(&machine->world.changed);
	pthread_mutex_unlock(&machine->world.lock);
}

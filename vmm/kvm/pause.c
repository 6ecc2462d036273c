/* SPDX-License-Identifier: MIT */
#include "kvm/pause.h"

#include "machine.h"
#include "kvm/vcpu.h"

void world_init(struct world *world)
{
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->changed, NULL);
	atomic_init(&world->paused, 0);
	atomic_init(&world->held, false);
}

void world_destroy(struct world *world)
{
	pthread_cond_destroy(&world->changed);
	pthread_mutex_destroy(&world->lock);
}

static bool among(uint64_t who, const struct vcpu *vcpu)
{
	return who >> vcpu->index & 1;
}

static bool closed(const struct world *world, const struct vcpu *vcpu)
{
	return among(atomic_load(&world->paused), vcpu) || atomic_load(&world->held);
}

void world_enter_guest(struct world *world, struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, true);
	while (closed(world, vcpu)) {
		pthread_mutex_lock(&world->lock);
		atomic_store(&vcpu->in_guest, false);
		pthread_cond_broadcast(&world->changed);
		while (closed(world, vcpu))
			pthread_cond_wait(&world->changed, &world->lock);
		pthread_mutex_unlock(&world->lock);
		atomic_store(&vcpu->in_guest, true);
	}
}

void world_left_guest(struct world *world, struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, false);
	if (!closed(world, vcpu))
		return;
	vcpu->stats.kicked++;
	/* The lock also keeps this thread from ending while the pauser is about to kick it. */
	pthread_mutex_lock(&world->lock);
	pthread_cond_broadcast(&world->changed);
	pthread_mutex_unlock(&world->lock);
}

/* Of these vCPUs, those that are in the guest. */
static uint64_t in_guest(const struct machine *machine, uint64_t who)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < machine->nr_vcpus; i++)
		if (among(who, &machine->vcpus[i]) && atomic_load(&machine->vcpus[i].in_guest))
			found |= 1ull << i;
	return found;
}

/* Kicks them, and waits until they are out. The lock is held, the world is closed to them. Returns
 * how many were kicked. */
static unsigned fetch(struct machine *machine, uint64_t who)
{
	uint64_t inside = in_guest(machine, who);

	for (unsigned i = 0; i < machine->nr_vcpus; i++)
		if (among(inside, &machine->vcpus[i]))
			vcpu_kick(&machine->vcpus[i]);
	while (in_guest(machine, who))
		pthread_cond_wait(&machine->world.changed, &machine->world.lock);
	return (unsigned)__builtin_popcountll(inside);
}

unsigned world_pause_some(struct machine *machine, struct vcpu *self, uint64_t who)
{
	struct world *world = &machine->world;
	uint64_t me = self ? 1ull << self->index : 0;
	unsigned kicked;

	pthread_mutex_lock(&world->lock);
	while (atomic_load(&world->paused))
		pthread_cond_wait(&world->changed, &world->lock);
	/* A pauser is out of the guest: its own bit says that there is one. */
	atomic_store(&world->paused, who | me);
	kicked = fetch(machine, who & ~me);
	pthread_mutex_unlock(&world->lock);
	return kicked;
}

void world_pause(struct machine *machine, struct vcpu *self)
{
	world_pause_some(machine, self, WORLD_ALL);
}

void world_resume(struct machine *machine)
{
	struct world *world = &machine->world;

	pthread_mutex_lock(&world->lock);
	atomic_store(&world->paused, 0);
	pthread_cond_broadcast(&world->changed);
	pthread_mutex_unlock(&world->lock);
}

void world_hold(struct machine *machine)
{
	pthread_mutex_lock(&machine->world.lock);
	atomic_store(&machine->world.held, true);
	fetch(machine, WORLD_ALL);
	pthread_mutex_unlock(&machine->world.lock);
}

void world_release(struct machine *machine)
{
	pthread_mutex_lock(&machine->world.lock);
	atomic_store(&machine->world.held, false);
	pthread_cond_broadcast(&machine->world.changed);
	pthread_mutex_unlock(&machine->world.lock);
}

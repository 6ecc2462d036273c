/* SPDX-License-Identifier: MIT */
#include "kvm/pause.h"

#include "kvm/vcpu.h"
#include "kvm/vm.h"

void vcpu_pause_init(struct vcpu_pause *pause)
{
	pthread_mutex_init(&pause->lock, NULL);
	pthread_cond_init(&pause->changed, NULL);
	atomic_init(&pause->paused, 0);
	atomic_init(&pause->held, false);
	atomic_init(&pause->stopped, 0);
}

void vcpu_pause_destroy(struct vcpu_pause *pause)
{
	pthread_cond_destroy(&pause->changed);
	pthread_mutex_destroy(&pause->lock);
}

static bool is_among(uint64_t who, const struct vcpu *vcpu)
{
	return who >> vcpu->index & 1;
}

static bool is_kept_out(const struct vcpu_pause *pause, const struct vcpu *vcpu)
{
	return is_among(atomic_load(&pause->paused) | atomic_load(&pause->stopped), vcpu) ||
	       atomic_load(&pause->held);
}

void vcpu_enter_guest(struct vcpu_pause *pause, struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, true);
	while (is_kept_out(pause, vcpu)) {
		pthread_mutex_lock(&pause->lock);
		atomic_store(&vcpu->in_guest, false);
		pthread_cond_broadcast(&pause->changed);
		while (is_kept_out(pause, vcpu))
			pthread_cond_wait(&pause->changed, &pause->lock);
		pthread_mutex_unlock(&pause->lock);
		atomic_store(&vcpu->in_guest, true);
	}
}

void vcpu_left_guest(struct vcpu_pause *pause, struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, false);
	if (!is_kept_out(pause, vcpu))
		return;
	count_one(&vcpu->stats.kicked);
	/* The lock also keeps this thread from ending while another one is about to kick it. */
	pthread_mutex_lock(&pause->lock);
	pthread_cond_broadcast(&pause->changed);
	pthread_mutex_unlock(&pause->lock);
}

/* Those of these vCPUs that are in the guest. */
static uint64_t in_guest(const struct vm *vm, uint64_t who)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		if (is_among(who, &vm->vcpus[i]) && atomic_load(&vm->vcpus[i].in_guest))
			found |= 1ull << i;
	return found;
}

/* Kicks these vCPUs and waits until they are out of the guest, which they can't enter any more. The
 * lock is held. Returns how many were kicked. */
static unsigned fetch_vcpus(struct vm *vm, uint64_t who)
{
	uint64_t inside = in_guest(vm, who);

	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		if (is_among(inside, &vm->vcpus[i]))
			vcpu_kick(&vm->vcpus[i]);
	while (in_guest(vm, who))
		pthread_cond_wait(&vm->pause.changed, &vm->pause.lock);
	return (unsigned)__builtin_popcountll(inside);
}

unsigned pause_vcpus(struct vm *vm, struct vcpu *self, uint64_t who)
{
	struct vcpu_pause *pause = &vm->pause;
	uint64_t me = self ? 1ull << self->index : 0;
	unsigned kicked;

	pthread_mutex_lock(&pause->lock);
	while (atomic_load(&pause->paused))
		pthread_cond_wait(&pause->changed, &pause->lock);
	/* A pausing vCPU is out of the guest, so its own bit says that there is a pause. */
	atomic_store(&pause->paused, who | me);
	kicked = fetch_vcpus(vm, who & ~me);
	pthread_mutex_unlock(&pause->lock);
	return kicked;
}

void pause_all_vcpus(struct vm *vm, struct vcpu *self)
{
	pause_vcpus(vm, self, ALL_VCPUS);
}

void resume_vcpus(struct vm *vm)
{
	struct vcpu_pause *pause = &vm->pause;

	pthread_mutex_lock(&pause->lock);
	atomic_store(&pause->paused, 0);
	pthread_cond_broadcast(&pause->changed);
	pthread_mutex_unlock(&pause->lock);
}

void hold_all_vcpus(struct vm *vm)
{
	pthread_mutex_lock(&vm->pause.lock);
	atomic_store(&vm->pause.held, true);
	fetch_vcpus(vm, ALL_VCPUS);
	pthread_mutex_unlock(&vm->pause.lock);
}

void release_all_vcpus(struct vm *vm)
{
	pthread_mutex_lock(&vm->pause.lock);
	atomic_store(&vm->pause.held, false);
	pthread_cond_broadcast(&vm->pause.changed);
	pthread_mutex_unlock(&vm->pause.lock);
}

bool vcpus_are_held(const struct vm *vm)
{
	return atomic_load(&vm->pause.held);
}

void debug_stop_vcpus(struct vm *vm, uint64_t who)
{
	pthread_mutex_lock(&vm->pause.lock);
	atomic_fetch_or(&vm->pause.stopped, who);
	fetch_vcpus(vm, who);
	pthread_mutex_unlock(&vm->pause.lock);
}

void debug_release_vcpus(struct vm *vm, uint64_t who)
{
	pthread_mutex_lock(&vm->pause.lock);
	atomic_fetch_and(&vm->pause.stopped, ~who);
	pthread_cond_broadcast(&vm->pause.changed);
	pthread_mutex_unlock(&vm->pause.lock);
}

bool debug_stop_self(struct vm *vm, const struct vcpu *self, _Atomic uint64_t *hits)
{
	uint64_t me = 1ull << self->index;
	bool stops;

	pthread_mutex_lock(&vm->pause.lock);
	stops = !(atomic_fetch_or(&vm->pause.stopped, me) & me);
	if (stops)
		atomic_fetch_or_explicit(hits, me, memory_order_release);
	pthread_mutex_unlock(&vm->pause.lock);
	return stops;
}

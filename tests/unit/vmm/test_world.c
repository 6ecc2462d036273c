/* SPDX-License-Identifier: MIT */
/* Pausing, with threads that stand for vCPUs: "in the guest" they advance a counter until they are
 * kicked. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "machine.h"
#include "suites.h"
#include "world.h"

#define NR     4
#define ROUNDS 300

static struct machine machine;
static struct vcpu vcpus[NR];
static struct kvm_run runs[NR];
static _Atomic uint64_t counter[NR];
static atomic_uint flushed[NR];
static atomic_bool ending;

static void on_kick(int signal)
{
	(void)signal;
}

static bool kicked(struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST);
}

static void *guest(void *arg)
{
	struct vcpu *vcpu = arg;

	while (!atomic_load(&ending)) {
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		world_enter_guest(&machine.world, vcpu);
		if (atomic_exchange(&vcpu->todo, 0) & VCPU_FLUSH_TLB)
			atomic_fetch_add(&flushed[vcpu->index], 1);
		while (!kicked(vcpu) && !atomic_load(&ending)) {
			atomic_fetch_add(&counter[vcpu->index], 1);
			sched_yield();
		}
		world_left_guest(&machine.world, vcpu);
	}
	return NULL;
}

static void set_up(void)
{
	struct sigaction action = {.sa_handler = on_kick};

	sigaction(VCPU_KICK_SIGNAL, &action, NULL);
	memset(&machine, 0, sizeof(machine));
	world_init(&machine.world);
	machine.nr_vcpus = NR;
	machine.vcpus = vcpus;
	for (unsigned i = 0; i < NR; i++)
		vcpus[i] = (struct vcpu){.index = i, .machine = &machine, .run = &runs[i]};
}

static void tear_down(void)
{
	world_destroy(&machine.world);
}

static void start(unsigned from)
{
	for (unsigned i = from; i < NR; i++)
		ck_assert_int_eq(pthread_create(&vcpus[i].thread, NULL, guest, &vcpus[i]), 0);
}

static void join(unsigned from)
{
	atomic_store(&ending, true);
	for (unsigned i = from; i < NR; i++)
		ck_assert_int_eq(pthread_join(vcpus[i].thread, NULL), 0);
}

static uint64_t sum(unsigned except)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < NR; i++)
		total += i == except ? 0 : atomic_load(&counter[i]);
	return total;
}

START_TEST(nobody_runs_while_paused)
{
	start(0);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before;

		world_pause(&machine, NULL);
		before = sum(NR);
		for (unsigned i = 0; i < NR; i++)
			ck_assert(!atomic_load(&vcpus[i].in_guest));
		for (int i = 0; i < 10; i++)
			sched_yield();
		ck_assert_uint_eq(sum(NR), before);
		world_resume(&machine);
		while (sum(NR) == before) /* and they do go on */
			sched_yield();
	}
	join(0);
}
END_TEST

START_TEST(what_is_asked_for_is_done_before_the_guest_goes_on)
{
	start(0);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		uint64_t before[NR];

		world_pause(&machine, NULL);
		for (unsigned i = 0; i < NR; i++) {
			atomic_fetch_or(&vcpus[i].todo, VCPU_FLUSH_TLB);
			before[i] = atomic_load(&counter[i]);
		}
		world_resume(&machine);
		for (unsigned i = 0; i < NR; i++) {
			while (atomic_load(&counter[i]) == before[i])
				sched_yield();
			ck_assert_uint_eq(atomic_load(&flushed[i]), round);
		}
	}
	join(0);
}
END_TEST

/* Two vCPUs pause again and again, each from its exit handler; the others run. */
static void *pauser(void *arg)
{
	struct vcpu *self = arg;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before;

		__atomic_store_n(&self->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		world_enter_guest(&machine.world, self);
		atomic_fetch_add(&counter[self->index], 1);
		world_left_guest(&machine.world, self);
		world_pause(&machine, self);
		before = sum(self->index);
		sched_yield();
		if (sum(self->index) != before)
			return "a vCPU ran while another had paused the world";
		world_resume(&machine);
	}
	return NULL;
}

START_TEST(two_who_pause)
{
	void *wrong;

	start(2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&vcpus[i].thread, NULL, pauser, &vcpus[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(vcpus[i].thread, &wrong), 0);
		ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
	}
	join(2);
}
END_TEST

TCase *world_tests(void)
{
	TCase *tc = tcase_create("world");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, nobody_runs_while_paused);
	tcase_add_test(tc, what_is_asked_for_is_done_before_the_guest_goes_on);
	tcase_add_test(tc, two_who_pause);
	return tc;
}

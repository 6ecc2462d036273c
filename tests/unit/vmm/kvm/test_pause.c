/* SPDX-License-Identifier: MIT */
/* Pausing, with the real threads of vCPUs on a KVM that is played here: "in the guest" they advance
 * a counter. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "fake_kvm.h"
#include "machine.h"
#include "suites.h"
#include "kvm/pause.h"

#define NR       4
#define ROUNDS   300
#define FIRST_FD 1000 /* vCPU i has fd FIRST_FD + i */

static struct machine machine;
static struct vcpu vcpus[NR];
static struct kvm_run runs[NR];
static _Atomic uint64_t counter[NR];
static atomic_uint flushed[NR];

/* Since KVM_RUN was entered on this thread. */
static _Thread_local volatile sig_atomic_t signalled;

static void on_kick(int signal)
{
	(void)signal;
	signalled = 1;
}

/* As KVM does it: the flag counts on the way in, a signal from then on. One that came before is
 * over. */
static int run_guest(struct vcpu *vcpu)
{
	for (unsigned i = atomic_load(&counter[vcpu->index]) % 8; i > 0; i--)
		sched_yield(); /* the way in takes its time: kicks come then, too */
	signalled = 0;
	if (!__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST))
		while (!signalled) {
			atomic_fetch_add(&counter[vcpu->index], 1);
			sched_yield();
		}
	errno = EINTR;
	return -1;
}

static int play_kvm(int fd, unsigned long request, void *arg)
{
	struct vcpu *vcpu = &vcpus[fd - FIRST_FD];
	struct kvm_sregs *sregs = arg;

	if (fd < FIRST_FD || fd >= FIRST_FD + NR)
		return FAKE_PASS;
	switch (request) {
	case KVM_RUN:
		return run_guest(vcpu);
	case KVM_GET_SREGS:
		memset(sregs, 0, sizeof(*sregs));
		return 0;
	case KVM_SET_SREGS: /* there and back is one flush */
		flushed[vcpu->index] += sregs->cr4 == 0;
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

static void set_up(void)
{
	struct sigaction action = {.sa_handler = on_kick};

	sigset_t kick;

	sigaction(VCPU_KICK_SIGNAL, &action, NULL);
	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &kick, NULL);
	fake_kvm = play_kvm;
	memset(&machine, 0, sizeof(machine));
	machine.stop.status = -1;
	machine.stop.fd = eventfd(0, 0);
	vcpu_pause_init(&machine.vm.pause);
	machine.vm.stop = &machine.stop;
	machine.vm.nr_vcpus = NR;
	machine.vm.vcpus = vcpus;
	for (unsigned i = 0; i < NR; i++)
		vcpus[i] = (struct vcpu){
			.index = i, .fd = FIRST_FD + (int)i, .vm = &machine.vm, .run = &runs[i]};
}

static void tear_down(void)
{
	vcpu_pause_destroy(&machine.vm.pause);
	close(machine.stop.fd);
}

static void start(unsigned from)
{
	for (unsigned i = from; i < NR; i++)
		ck_assert_int_eq(vcpu_start(&vcpus[i]), 0);
}

static void join(unsigned from)
{
	stop_request(&machine.stop, 0);
	for (unsigned i = from; i < NR; i++)
		vcpu_join(&vcpus[i]);
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
	uint64_t kicked = 0;

	start(0);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before;

		pause_all_vcpus(&machine.vm, NULL);
		before = sum(NR);
		/* One on its way in says for a moment that it is in: what runs is the question. */
		for (int i = 0; i < 10; i++)
			sched_yield();
		ck_assert_uint_eq(sum(NR), before);
		resume_vcpus(&machine.vm);
		while (sum(NR) == before) /* and they do go on */
			sched_yield();
	}
	join(0);
	/* Whoever advanced since the last round was inside and had to be fetched out. */
	for (unsigned i = 0; i < NR; i++)
		kicked += vcpus[i].stats.kicked;
	ck_assert_uint_ge(kicked, ROUNDS - 1);
}
END_TEST

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

/* Leaves the guest when it is kicked, and then waits for what the pauser holds. */
static void *leave_and_wait(void *arg)
{
	struct vcpu *vcpu = arg;

	vcpu_enter_guest(&machine.vm.pause, vcpu);
	run_guest(vcpu);
	vcpu_left_guest(&machine.vm.pause, vcpu);
	pthread_mutex_lock(&held);
	pthread_mutex_unlock(&held);
	return NULL;
}

START_TEST(a_vcpu_that_waits_for_the_pauser)
{
	sigset_t kick;

	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	pthread_mutex_lock(&held);
	ck_assert_int_eq(pthread_create(&vcpus[0].thread, NULL, leave_and_wait, &vcpus[0]), 0);
	while (atomic_load(&counter[0]) == 0)
		sched_yield();
	pause_all_vcpus(&machine.vm, NULL);
	ck_assert(!atomic_load(&vcpus[0].in_guest));
	resume_vcpus(&machine.vm);
	pthread_mutex_unlock(&held);
	ck_assert_int_eq(pthread_join(vcpus[0].thread, NULL), 0);
}
END_TEST

/* Some are kept out, and the others run on. */
START_TEST(some_are_paused)
{
	start(0);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before[NR];

		ck_assert_uint_le(pause_vcpus(&machine.vm, NULL, 1 << 1 | 1 << 3), 2);
		for (unsigned i = 0; i < NR; i++)
			before[i] = atomic_load(&counter[i]);
		for (unsigned i = 0; i < NR; i += 2)
			while (atomic_load(&counter[i]) == before[i])
				sched_yield();
		for (unsigned i = 1; i < NR; i += 2)
			ck_assert_uint_eq(atomic_load(&counter[i]), before[i]);
		resume_vcpus(&machine.vm);
	}
	join(0);
	ck_assert_uint_eq(vcpus[0].stats.kicked + vcpus[2].stats.kicked, 0);
}
END_TEST

/* Stopping gets them all out, wherever they are, and no kick is lost. */
START_TEST(the_end)
{
	for (int round = 0; round < ROUNDS; round++) {
		machine.stop.status = -1;
		start(0);
		join(0);
	}
}
END_TEST

START_TEST(what_is_asked_for_is_done_before_the_guest_goes_on)
{
	start(0);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		uint64_t before[NR];

		pause_all_vcpus(&machine.vm, NULL);
		for (unsigned i = 0; i < NR; i++) {
			atomic_fetch_or(&vcpus[i].todo, VCPU_FLUSH_TLB);
			before[i] = atomic_load(&counter[i]);
		}
		resume_vcpus(&machine.vm);
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
		vcpu_enter_guest(&machine.vm.pause, self);
		atomic_fetch_add(&counter[self->index], 1);
		vcpu_left_guest(&machine.vm.pause, self);
		pause_all_vcpus(&machine.vm, self);
		before = sum(self->index);
		sched_yield();
		if (sum(self->index) != before)
			return "a vCPU ran while another had paused all";
		resume_vcpus(&machine.vm);
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

/* Held, no vCPU runs; and a pause in the meantime neither waits for the release nor ends the hold.
 */
START_TEST(nobody_runs_while_held)
{
	start(0);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before;

		hold_all_vcpus(&machine.vm);
		hold_all_vcpus(&machine.vm);
		before = sum(NR);
		pause_all_vcpus(&machine.vm, NULL);
		resume_vcpus(&machine.vm);
		for (int i = 0; i < 10; i++)
			sched_yield();
		ck_assert_uint_eq(sum(NR), before);
		release_all_vcpus(&machine.vm);
		while (sum(NR) == before)
			sched_yield();
	}
	join(0);
}
END_TEST

#define STOP_MS 300

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* By what its vCPUs have run a guest is judged: however long each was kept from it by others, that
 * is not in it. (A loaded machine keeps them for longer.) */
static void expect_it_stood_still(void (*still)(void))
{
	uint64_t since, ran[NR];

	start(0);
	for (unsigned i = 0; i < NR; i++)
		while (atomic_load(&counter[i]) == 0)
			sched_yield();
	since = now_ns();
	for (unsigned i = 0; i < NR; i++)
		ran[i] = vcpu_ran_ns(&vcpus[i]);
	still();
	for (unsigned i = 0; i < NR; i++) {
		uint64_t more = vcpu_ran_ns(&vcpus[i]) - ran[i];

		ck_assert_uint_gt(ran[i], 0);
		/* Half of it, as the two clocks may differ. */
		ck_assert_uint_lt(more + STOP_MS * 500000ull, now_ns() - since);
	}
	join(0);
}

static void hold_for_a_while(void)
{
	hold_all_vcpus(&machine.vm);
	poll(NULL, 0, STOP_MS);
	release_all_vcpus(&machine.vm);
}

START_TEST(held_is_not_run)
{
	expect_it_stood_still(hold_for_a_while);
}
END_TEST

static void stop_for_a_while(void)
{
	raise(SIGSTOP); /* all threads */
}

START_TEST(stopped_is_not_run)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		expect_it_stood_still(stop_for_a_while);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
	ck_assert(WIFSTOPPED(status));
	poll(NULL, 0, STOP_MS);
	kill(child, SIGCONT);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* vCPUs that pause as they do, and a holder: all of them come to an end. */
START_TEST(hold_among_pausers)
{
	void *wrong;

	start(2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&vcpus[i].thread, NULL, pauser, &vcpus[i]), 0);
	for (int round = 0; round < ROUNDS; round++) {
		hold_all_vcpus(&machine.vm);
		sched_yield();
		release_all_vcpus(&machine.vm);
		sched_yield();
	}
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(vcpus[i].thread, &wrong), 0);
		ck_assert_msg(wrong == NULL, "%s", (const char *)wrong);
	}
	join(2);
}
END_TEST

/* The end lets them go. */
START_TEST(the_end_while_held)
{
	start(0);
	hold_all_vcpus(&machine.vm);
	stop_request(&machine.stop, 3);
	machine_join(&machine);
	ck_assert_int_eq(machine.stop.status, 3);
}
END_TEST

TCase *pause_tests(void)
{
	TCase *tc = tcase_create("pause");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, nobody_runs_while_paused);
	tcase_add_test(tc, some_are_paused);
	tcase_add_test(tc, nobody_runs_while_held);
	tcase_add_test(tc, held_is_not_run);
	tcase_add_test(tc, stopped_is_not_run);
	tcase_add_test(tc, hold_among_pausers);
	tcase_add_test(tc, the_end_while_held);
	tcase_add_test(tc, a_vcpu_that_waits_for_the_pauser);
	tcase_add_test(tc, the_end);
	tcase_add_test(tc, what_is_asked_for_is_done_before_the_guest_goes_on);
	tcase_add_test(tc, two_who_pause);
	return tc;
}

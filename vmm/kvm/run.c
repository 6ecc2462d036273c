/* SPDX-License-Identifier: MIT */
/* The thread of a vCPU: enters the guest, and handles its exits. */
#include "kvm/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <time.h>
#include "clock.h"
#include "kvm/exit.h"
#include "kvm/thread.h"
#include "kvm/vm.h"
#include "say.h"
#include "status.h"
#include "stop.h"
#include "trace.h"

#define STACK_SIZE    (64u << 10)
#define JOIN_RETRY_NS 50000000

static void end_with_dump(struct vcpu *vcpu, int status)
{
	vcpu_dump(vcpu);
	stop_request(vcpu->vm->stop, status);
}

static bool emulation_failed(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	       run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION;
}

static void say_stuck(const struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	const char *name = exit_name(run->exit_reason);

	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		say("vCPU %u: %s, reason 0x%" PRIx64
		    ": the processor refused to enter the guest, which cannot go on",
		    vcpu->index, name, (uint64_t)run->fail_entry.hardware_entry_failure_reason);
	else if (emulation_failed(run))
		say("vCPU %u: %s: KVM could not emulate an instruction: the guest cannot go on",
		    vcpu->index, name);
	else
		say("vCPU %u: %s, suberror %u: the guest cannot go on", vcpu->index, name,
		    run->internal.suberror);
}

static void handle_exit(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct exit exit = exit_decode(vcpu->run, vcpu->run_size);

	switch (exit.kind) {
	case EXIT_PIO:
		count_one(&vcpu->stats.exits_pio);
		vm->io_ops->pio(vm->io, vcpu, &exit.io);
		break;
	case EXIT_MMIO:
		count_one(&vcpu->stats.exits_mmio);
		if (!vm->store_ops ||
		    vm->store_ops->emulated(vm->stores, vcpu, &exit.io) == STORE_EXIT_OTHER)
			vm->io_ops->mmio(vm->io, vcpu, &exit.io);
		break;
	case EXIT_AGAIN:
		count_one(&vcpu->stats.exits_intr);
		break;
	case EXIT_SHUTDOWN:
		count_one(&vcpu->stats.exits_other);
		say("vCPU %u: %s: triple fault, or a shutdown without a status", vcpu->index,
		    exit_name(vcpu->run->exit_reason));
		end_with_dump(vcpu, VMM_EX_SHUTDOWN);
		break;
	case EXIT_STUCK:
		count_one(&vcpu->stats.exits_other);
		if (vm->store_ops && emulation_failed(vcpu->run) &&
		    vm->store_ops->failed(vm->stores, vcpu) == STORE_EXIT_DONE)
			break;
		say_stuck(vcpu);
		end_with_dump(vcpu, VMM_EX_SHUTDOWN);
		break;
	case EXIT_DEBUG:
	case EXIT_UNHANDLED:
	case EXIT_MALFORMED:
		count_one(&vcpu->stats.exits_other);
		say("vCPU %u: %s (%u) can't be handled", vcpu->index,
		    exit_name(vcpu->run->exit_reason), vcpu->run->exit_reason);
		end_with_dump(vcpu, VMM_EX_SOFTWARE);
		break;
	}
}

/* KVM does nothing more with a VM that it has given up, and refuses all calls on it. */
static bool is_given_up(const struct vcpu *vcpu, int error)
{
	struct kvm_regs regs;

	return error == EIO && ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 && errno == EIO;
}

static void handle_error(struct vcpu *vcpu, int error)
{
	const struct vm *vm = vcpu->vm;

	/* EAGAIN: a vCPU that waited for INIT or SIPI got it */
	if (error == EINTR || error == EAGAIN) {
		count_one(&vcpu->stats.exits_intr);
		return;
	}
	if (error == EFAULT && vm->store_ops &&
	    vm->store_ops->stopped(vm->stores, vcpu) == STORE_EXIT_DONE) {
		count_one(&vcpu->stats.exits_other);
		return;
	}
	if (is_given_up(vcpu, error)) {
		count_one(&vcpu->stats.exits_other);
		say("vCPU %u: KVM has given this VM up: the guest cannot go on", vcpu->index);
		stop_request(vm->stop, VMM_EX_SHUTDOWN);
		return;
	}
	/* A shadow MMU has few pages for little memory; which roots the vCPUs use is up to the
	 * guest. */
	if (error == ENOSPC) {
		count_one(&vcpu->stats.exits_other);
		say("vCPU %u: KVM's shadow MMU has no room for the page tables in use: "
		    "the guest cannot go on",
		    vcpu->index);
		stop_request(vm->stop, VMM_EX_SHUTDOWN);
		return;
	}
	errno = error;
	say_errno("vCPU %u: KVM_RUN", vcpu->index);
	end_with_dump(vcpu, VMM_EX_OSERR);
}

static void do_todo(struct vcpu *vcpu)
{
	/* Set only while vCPUs are paused; this vCPU then counts as in the guest. */
	if (atomic_load(&vcpu->todo) == 0)
		return;
	if (atomic_exchange(&vcpu->todo, 0) & VCPU_FLUSH_TLB && !vcpu_flush_tlb(vcpu))
		stop_request(vcpu->vm->stop, VMM_EX_OSERR);
}

/* Port or gpa of an exit, for the trace. */
static uint64_t address_of(const struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_IO)
		return run->io.port;
	return run->exit_reason == KVM_EXIT_MMIO ? run->mmio.phys_addr : 0;
}

static bool is_debuggers(struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;

	return vm->debug_ops && vm->debug_ops->exit(vm->debugger, vcpu);
}

/* `debuggers`: the exit was the debugger's. Otherwise its handler may have completed an instruction
 * that is a step of the debugger's. */
static void after_run(struct vcpu *vcpu, int error, bool debuggers)
{
	if (error) {
		handle_error(vcpu, error);
	} else if (debuggers) {
		count_one(&vcpu->stats.exits_other);
	} else {
		handle_exit(vcpu);
		if (vcpu->run->exit_reason == KVM_EXIT_DEBUG)
			is_debuggers(vcpu);
	}
}

static void run_once(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint64_t start, address;
	uint32_t reason;
	bool debuggers;
	int error;

	/* Comes first: a later kick is not lost, and an earlier one has set its reason, which is
	 * read below. */
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	vcpu_enter_guest(&vm->pause, vcpu);
	do_todo(vcpu);
	if (stop_requested(vm->stop)) {
		vcpu_left_guest(&vm->pause, vcpu);
		return;
	}
	error = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? errno : 0;
	start = trace_now(vcpu->track);
	reason = error ? KVM_EXIT_INTR : vcpu->run->exit_reason;
	address = address_of(vcpu->run);
	debuggers = !error && is_debuggers(vcpu);
	vcpu_left_guest(&vm->pause, vcpu);
	count_one(&vcpu->runs);
	after_run(vcpu, error, debuggers);
	trace_exit(vcpu->track, start, reason, address);
}

uint64_t vcpu_ran_ns(const struct vcpu *vcpu)
{
	clockid_t clock = atomic_load(&vcpu->clock);
	uint64_t ran = clock ? clock_ns(clock) : 0;

	return ran ? ran : atomic_load(&vcpu->ran_ns);
}

void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	clockid_t clock = 0;
	sigset_t kick;

	pthread_getcpuclockid(pthread_self(), &clock);
	atomic_store(&vcpu->clock, clock);

	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	while (!stop_requested(vcpu->vm->stop))
		run_once(vcpu);
	atomic_store(&vcpu->ran_ns, vcpu_ran_ns(vcpu));
	atomic_store(&vcpu->clock, 0);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	struct thread_job job = {
		.sandbox = vcpu->vm->sandbox,
		.kind = SANDBOX_VCPU,
		.stack = STACK_SIZE,
		.run = vcpu_thread,
		.arg = vcpu,
	};
	int err = thread_start(&vcpu->thread, &job);

	if (err)
		return say_error(err, "thread of vCPU %u", vcpu->index);
	vcpu->started = true;
	return 0;
}

/* One kick is enough for KVM_RUN. Another system call may begin right after the signal, so it is
 * repeated. */
void vcpu_join(struct vcpu *vcpu)
{
	struct timespec until;

	if (!vcpu->started)
		return;
	do {
		vcpu_kick(vcpu);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += JOIN_RETRY_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(vcpu->thread, NULL, &until) == ETIMEDOUT);
	vcpu->started = false;
}

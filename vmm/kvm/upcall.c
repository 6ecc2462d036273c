/* SPDX-License-Identifier: MIT */
#include "kvm/upcall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "kvm/probe_vm.h"
#include "kvm/vcpu.h"
#include "say.h"

#define DR6_BS (1ull << 14) /* a single step */

static int vcpu_ioctl(struct vcpu *vcpu, unsigned long request, const char *name, void *arg)
{
	if (ioctl(vcpu->fd, request, arg) == 0)
		return 0;
	return say_errno("%s on vCPU %u", name, vcpu->index);
}

static int set_exception(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	events->exception.pending = 0;
	events->flags = 0;
	return vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", events);
}

static bool is_contributory(unsigned vector)
{
	return vector == 0 || (vector >= 10 && vector <= 13);
}

unsigned exception_on_top(unsigned first, unsigned second)
{
	bool bad = is_contributory(second) || second == VECTOR_PF;

	if (first == VECTOR_DF && bad)
		return EXCEPTION_SHUTDOWN;
	if ((first == VECTOR_PF && bad) || (is_contributory(first) && is_contributory(second)))
		return VECTOR_DF;
	return second;
}

/* To what is on its way to the vCPU. */
static int raise_on_top(struct vcpu *vcpu, struct kvm_vcpu_events *events, unsigned vector,
			int error_code)
{
	if (events->exception.injected) {
		unsigned second = vector;

		vector = exception_on_top(events->exception.nr, second);
		if (vector == EXCEPTION_SHUTDOWN)
			return -ESHUTDOWN;
		if (vector != second)
			error_code = 0;
	}
	events->exception.injected = 1;
	events->exception.nr = vector;
	events->exception.has_error_code = error_code != NO_ERROR_CODE;
	events->exception.error_code = error_code != NO_ERROR_CODE ? error_code : 0;
	/* An interrupt that a fault has cut off has been acknowledged, and is lost. */
	events->interrupt.injected = 0;
	events->nmi.injected = 0;
	return set_exception(vcpu, events);
}

int vcpu_raise(struct vcpu *vcpu, unsigned vector, int error_code)
{
	struct kvm_vcpu_events events;
	int ret = vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &events);

	return ret ? ret : raise_on_top(vcpu, &events, vector, error_code);
}

int vcpu_raise_step(struct vcpu *vcpu)
{
	struct kvm_debugregs debug;
	int ret = vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS", &debug);

	if (ret)
		return ret;
	debug.dr6 |= DR6_BS;
	ret = vcpu_ioctl(vcpu, KVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS", &debug);
	return ret ? ret : vcpu_raise(vcpu, VECTOR_DB, NO_ERROR_CODE);
}

int vcpu_is_delivering(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events;
	int ret = vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &events);

	if (ret)
		return ret;
	return events.exception.injected || events.interrupt.injected || events.nmi.injected;
}

int vcpu_unraise(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events;
	int ret = vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &events);

	if (ret)
		return ret;
	events.exception.injected = 0;
	return set_exception(vcpu, &events);
}

/* At the exit RIP still points at the `out`; completing it moves RIP on. KVM_RUN brings registers
 * each time, and what is on its way to the vCPU this time. */
bool upcall_complete_out(struct vcpu *vcpu, struct kvm_regs *at_out)
{
	const struct kvm_regs *regs = &vcpu->run->s.regs.regs;
	int ret;

	*at_out = *regs;
	vcpu->run->kvm_valid_regs |= KVM_SYNC_X86_EVENTS;
	ret = vcpu_complete_io(vcpu);
	vcpu->run->kvm_valid_regs &= ~(uint64_t)KVM_SYNC_X86_EVENTS;
	return !ret && regs->rip != at_out->rip;
}

/* Setting the registers back, instead of cancelling the `out`, leaves KVM nothing half done. */
int upcall_raise(struct vcpu *vcpu, struct kvm_regs *at_out, unsigned vector)
{
	struct kvm_vcpu_events events = vcpu->run->s.regs.events;
	int ret = vcpu_ioctl(vcpu, KVM_SET_REGS, "KVM_SET_REGS", at_out);

	return ret ? ret : raise_on_top(vcpu, &events, vector, NO_ERROR_CODE);
}

/* --- does it work here? ----------------------------------------------------------------------- */

#define HANDLER 0x1100u /* within the page of PROBE_VM_CODE */

/* out PROBE_VM_PORT, al; hlt */
static const uint8_t probe_code[] = {0xe6, PROBE_VM_PORT, 0xf4};
static const uint8_t iretq[] = {0x48, 0xcf};

static void set_handler(struct probe_vm *vm, unsigned vector)
{
	const uint64_t interrupt_gate = 0x8e00ull << 32;
	uint64_t gate[2] = {HANDLER | PROBE_VM_CS << 16 | interrupt_gate, 0};

	memcpy(vm->memory + HANDLER, iretq, sizeof(iretq));
	memcpy(vm->memory + PROBE_VM_IDT + vector * sizeof(gate), gate, sizeof(gate));
}

static bool comes_back(struct probe_vm *vm, unsigned vector)
{
	struct kvm_regs at_out;

	set_handler(vm, vector);
	if (!probe_vm_runs_to_out(vm) || !upcall_complete_out(&vm->vcpu, &at_out) ||
	    upcall_raise(&vm->vcpu, &at_out, vector))
		return false;
	vm->vcpu.run->immediate_exit = 0;
	return probe_vm_runs_to_out(vm);
}

bool upcall_check(int kvm_fd, unsigned vector, char *why, size_t size)
{
	struct probe_vm vm;
	const char *why_not = NULL;

	if (!probe_vm_begin(&vm, kvm_fd, probe_code, sizeof(probe_code)))
		why_not = PROBE_VM_REFUSED;
	else if (!comes_back(&vm, vector))
		why_not = UPCALL_BROKEN;
	probe_vm_end(&vm);
	if (why_not)
		snprintf(why, size, "%s", why_not);
	return !why_not;
}

bool upcall_is_ruled_out(struct vcpu *vcpu, void *page, uint32_t gpa)
{
	struct kvm_regs at_out;
	bool past = false;

	memcpy(page, probe_code, sizeof(probe_code));
	if (vcpu_set_entry(vcpu, gpa, 0) == 0 &&
	    TEMP_FAILURE_RETRY(ioctl(vcpu->fd, KVM_RUN, 0)) == 0 &&
	    vcpu->run->exit_reason == KVM_EXIT_IO)
		past = !upcall_complete_out(vcpu, &at_out);
	memset(page, 0, sizeof(probe_code));
	return past;
}

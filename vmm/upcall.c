/* SPDX-License-Identifier: MIT */
#include "upcall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vcpu.h"

static int vcpu_ioctl(struct vcpu *vcpu, unsigned long request, const char *name, void *arg)
{
	int err;

	if (ioctl(vcpu->fd, request, arg) == 0)
		return 0;
	err = errno;
	fprintf(stderr, "vmm: %s on vCPU %u: %s\n", name, vcpu->index, strerror(err));
	return -err;
}

static int set_exception(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	events->exception.pending = 0;
	events->flags = 0;
	return vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", events);
}

int vcpu_raise(struct vcpu *vcpu, unsigned vector, int error_code)
{
	struct kvm_vcpu_events events;
	int ret = vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &events);

	if (ret)
		return ret;
	if (events.exception.injected) {
		fprintf(stderr, "vmm: vCPU %u: exception %u comes on top of exception %u\n",
			vcpu->index, vector, events.exception.nr);
		return -EBUSY;
	}
	events.exception.injected = 1;
	events.exception.nr = vector;
	events.exception.has_error_code = error_code != NO_ERROR_CODE;
	events.exception.error_code = error_code != NO_ERROR_CODE ? error_code : 0;
	return set_exception(vcpu, &events);
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

int upcall_raise(struct vcpu *vcpu, unsigned vector)
{
	struct kvm_regs at_out;
	int ret;

	/* At the exit RIP still points at the `out`; completing it moves RIP on. Setting the
	 * registers back afterwards, instead of cancelling the `out`, leaves KVM nothing half done.
	 */
	ret = vcpu_ioctl(vcpu, KVM_GET_REGS, "KVM_GET_REGS", &at_out);
	if (!ret)
		ret = vcpu_complete_io(vcpu);
	if (!ret)
		ret = vcpu_ioctl(vcpu, KVM_SET_REGS, "KVM_SET_REGS", &at_out);
	return ret ? ret : vcpu_raise(vcpu, vector, NO_ERROR_CODE);
}

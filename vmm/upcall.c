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

int upcall_raise(struct vcpu *vcpu, unsigned vector)
{
	struct kvm_regs at_out;
	struct kvm_vcpu_events events;
	int ret;

	/* At the exit RIP still points at the `out`; completing it moves RIP on. Setting the
	 * registers back afterwards, instead of cancelling the `out`, leaves KVM nothing half done.
	 */
	ret = vcpu_ioctl(vcpu, KVM_GET_REGS, "KVM_GET_REGS", &at_out);
	if (!ret)
		ret = vcpu_complete_io(vcpu);
	if (!ret)
		ret = vcpu_ioctl(vcpu, KVM_SET_REGS, "KVM_SET_REGS", &at_out);
	if (!ret)
		ret = vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &events);
	if (ret)
		return ret;
	if (events.exception.injected)
		return -EBUSY;
	events.exception.injected = 1;
	events.exception.nr = vector;
	events.exception.has_error_code = 0;
	events.flags = 0;
	return vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", &events);
}

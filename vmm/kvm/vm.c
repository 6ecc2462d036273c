/* SPDX-License-Identifier: MIT */
#include "kvm/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "kvm/cpuid.h"
#include "kvm/kvm.h"
#include "say.h"

int vm_init(struct vm *vm, unsigned nr, struct stop *stop)
{
	*vm = (struct vm){.fd = -1, .stop = stop};
	vcpu_pause_init(&vm->pause);
	flush_clock_init(&vm->flush_clock);
	vm->vcpus = calloc(nr, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return say_errno("memory for vCPUs");
	for (unsigned i = 0; i < nr; i++)
		vm->vcpus[i] = (struct vcpu){.fd = -1, .index = i, .vm = vm};
	vm->nr_vcpus = nr;
	return 0;
}

/* CPUID is patched for each in turn. */
static int create_vcpus(struct vm *vm, int kvm_fd, struct kvm_cpuid2 *cpuid)
{
	bool deadline = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	int run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	int err = 0;

	if (run_size < 0)
		return say_errno("KVM_GET_VCPU_MMAP_SIZE");
	if (run_size < (int)sizeof(struct kvm_run)) {
		say("KVM_GET_VCPU_MMAP_SIZE: %d bytes are too few", run_size);
		return -EINVAL;
	}
	for (unsigned i = 0; !err && i < vm->nr_vcpus; i++) {
		err = vcpu_create(&vm->vcpus[i], vm->fd, (size_t)run_size);
		cpuid_patch(cpuid, i, vm->nr_vcpus, deadline);
		if (!err && ioctl(vm->vcpus[i].fd, KVM_SET_CPUID2, cpuid) < 0)
			err = say_errno("KVM_SET_CPUID2");
	}
	return err;
}

int vm_create(struct vm *vm, int kvm_fd)
{
	struct kvm_cpuid2 *cpuid;
	int err;

	vm->fd = kvm_create_vm(kvm_fd);
	if (vm->fd < 0)
		return vm->fd;
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return say_errno("KVM_CREATE_IRQCHIP");
	err = memory_attach(&vm->mem, vm->fd);
	if (err)
		return err;
	cpuid = cpuid_supported(kvm_fd);
	err = cpuid ? create_vcpus(vm, kvm_fd, cpuid) : -ENOMEM;
	free(cpuid);
	return err;
}

void vm_free(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(&vm->vcpus[i]);
	free(vm->vcpus);
	if (vm->fd >= 0)
		close(vm->fd);
	memory_free(&vm->mem);
	vcpu_pause_destroy(&vm->pause);
}

/* SPDX-License-Identifier: MIT */
#include "kvm/probe_vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "alias_abi.h"
#include "kvm/cpuid.h"
#include "kvm/kvm.h"
#include "pte.h"
#include "say.h"

#define PROBE_VM_L3 0x3000u
#define PROBE_VM_L2 0x4000u
#define PROBE_VM_DS 0x10u

#define PTE_LINK  (PTE_P | PTE_RW | PTE_A)
#define PTE_LARGE (PTE_LINK | PTE_D | PTE_PS)

static void write_u64(struct probe_vm *vm, uint64_t at, uint64_t value)
{
	memcpy(vm->memory + at, &value, sizeof(value));
}

static void write_memory(struct probe_vm *vm, const uint8_t *code, size_t size)
{
	memcpy(vm->memory + PROBE_VM_CODE, code, size);
	write_u64(vm, PROBE_VM_L4, PROBE_VM_L3 | PTE_LINK);
	write_u64(vm, PROBE_VM_L3, PROBE_VM_L2 | PTE_LINK);
	write_u64(vm, PROBE_VM_L2, PTE_LARGE);
	write_u64(vm, PROBE_VM_GDT + PROBE_VM_CS, 0x00af9b000000ffffull);
	write_u64(vm, PROBE_VM_GDT + PROBE_VM_DS, 0x00cf93000000ffffull);
}

static bool probe_vm_refused(const char *call)
{
	say_errno("%s of a probe VM", call);
	return false;
}

static bool enter_long_mode(int vcpu_fd)
{
	struct kvm_segment code = {.selector = PROBE_VM_CS,
				   .type = 0xb,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1,
				   .limit = ~0u};
	struct kvm_segment data = {.selector = PROBE_VM_DS,
				   .type = 3,
				   .present = 1,
				   .s = 1,
				   .db = 1,
				   .g = 1,
				   .limit = ~0u};
	struct kvm_regs regs = {.rip = PROBE_VM_CODE, .rsp = PROBE_VM_STACK, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return probe_vm_refused("KVM_GET_SREGS");
	sregs.cr0 = 0x80010033; /* PG, WP, NE, ET, MP, PE */
	sregs.cr3 = PROBE_VM_L4;
	sregs.cr4 = 0x20;   /* PAE */
	sregs.efer = 0x500; /* LME, LMA */
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt = (struct kvm_dtable){.base = PROBE_VM_GDT, .limit = 23};
	sregs.idt = (struct kvm_dtable){.base = PROBE_VM_IDT, .limit = ALIAS_PAGE_SIZE - 1};
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return probe_vm_refused("KVM_SET_SREGS");
	return ioctl(vcpu_fd, KVM_SET_REGS, &regs) == 0 || probe_vm_refused("KVM_SET_REGS");
}

static bool create_vcpu(struct probe_vm *vm, int kvm_fd)
{
	int run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (run_size < (int)sizeof(struct kvm_run))
		return probe_vm_refused("KVM_GET_VCPU_MMAP_SIZE");
	return vcpu_create(&vm->vcpu, vm->vm_fd, (size_t)run_size) == 0;
}

/* Newer kernels refuse long mode to a processor without a CPUID that has it. */
static bool set_cpuid(const struct probe_vm *vm, int kvm_fd)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(kvm_fd);
	bool ok = cpuid && (ioctl(vm->vcpu.fd, KVM_SET_CPUID2, cpuid) == 0 ||
			    probe_vm_refused("KVM_SET_CPUID2"));

	free(cpuid);
	return ok;
}

static bool set_memory(const struct probe_vm *vm)
{
	struct kvm_userspace_memory_region region = {.memory_size = PROBE_VM_SIZE,
						     .userspace_addr = (uintptr_t)vm->memory};

	return ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0 ||
	       probe_vm_refused("KVM_SET_USER_MEMORY_REGION");
}

bool probe_vm_begin(struct probe_vm *vm, int kvm_fd, const uint8_t *code, size_t size)
{
	void *memory = mmap(NULL, PROBE_VM_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*vm = (struct probe_vm){.vm_fd = -1, .vcpu = {.fd = -1}};
	if (memory == MAP_FAILED)
		return probe_vm_refused("mmap");
	vm->memory = memory;
	write_memory(vm, code, size);
	vm->vm_fd = kvm_create_vm(kvm_fd);
	return vm->vm_fd >= 0 && set_memory(vm) && create_vcpu(vm, kvm_fd) &&
	       set_cpuid(vm, kvm_fd) && enter_long_mode(vm->vcpu.fd);
}

void probe_vm_end(struct probe_vm *vm)
{
	vcpu_destroy(&vm->vcpu);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	if (vm->memory)
		munmap(vm->memory, PROBE_VM_SIZE);
}

int probe_vm_run(const struct probe_vm *vm)
{
	int ret;

	do
		ret = ioctl(vm->vcpu.fd, KVM_RUN, 0);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

bool probe_vm_runs_to_out(const struct probe_vm *vm)
{
	return probe_vm_run(vm) == 0 && vm->vcpu.run->exit_reason == KVM_EXIT_IO &&
	       vm->vcpu.run->io.port == PROBE_VM_PORT;
}

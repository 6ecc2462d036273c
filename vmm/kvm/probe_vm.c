/* SPDX-License-Identifier: MIT */
#include "kvm/probe_vm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "alias_abi.h"

#define TRIAL_L3  0x3000u
#define TRIAL_L2  0x4000u
#define TRIAL_DS  0x10u
#define TRIAL_TSS 0xfffbd000ul /* what Intel processors need, out of the way */

#define PTE_LINK 0x23 /* present, writable, accessed */
#define PTE_LEAF 0xe3 /* and dirty, large */

static void put(struct trial *trial, uint64_t at, uint64_t value)
{
	memcpy(trial->memory + at, &value, sizeof(value));
}

static void fill(struct trial *trial, const uint8_t *code, size_t size)
{
	memcpy(trial->memory + TRIAL_CODE, code, size);
	put(trial, TRIAL_L4, TRIAL_L3 | PTE_LINK);
	put(trial, TRIAL_L3, TRIAL_L2 | PTE_LINK);
	put(trial, TRIAL_L2, PTE_LEAF);
	put(trial, TRIAL_GDT + TRIAL_CS, 0x00af9b000000ffffull);
	put(trial, TRIAL_GDT + TRIAL_DS, 0x00cf93000000ffffull);
}

static bool enter_long_mode(int vcpu_fd)
{
	struct kvm_segment code = {.selector = TRIAL_CS,
				   .type = 0xb,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1,
				   .limit = ~0u};
	struct kvm_segment data = {.selector = TRIAL_DS,
				   .type = 3,
				   .present = 1,
				   .s = 1,
				   .db = 1,
				   .g = 1,
				   .limit = ~0u};
	struct kvm_regs regs = {.rip = TRIAL_CODE, .rsp = TRIAL_STACK, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return false;
	sregs.cr0 = 0x80010033; /* PG, WP, NE, ET, MP, PE */
	sregs.cr3 = TRIAL_L4;
	sregs.cr4 = 0x20;   /* PAE */
	sregs.efer = 0x500; /* LME, LMA */
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt = (struct kvm_dtable){.base = TRIAL_GDT, .limit = 23};
	sregs.idt = (struct kvm_dtable){.base = TRIAL_IDT, .limit = ALIAS_PAGE_SIZE - 1};
	return ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) == 0 &&
	       ioctl(vcpu_fd, KVM_SET_REGS, &regs) == 0;
}

static int create_vm(int kvm_fd)
{
	int fd;

	do /* a signal may interrupt it */
		fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static bool make_vcpu(struct trial *trial, int kvm_fd)
{
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	trial->vcpu_fd = ioctl(trial->vm_fd, KVM_CREATE_VCPU, 0);
	if (trial->vcpu_fd < 0 || size <= 0)
		return false;
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, trial->vcpu_fd, 0);
	if (run == MAP_FAILED)
		return false;
	trial->run = run;
	trial->run_size = size;
	return true;
}

bool trial_begin(struct trial *trial, int kvm_fd, const uint8_t *code, size_t size)
{
	struct kvm_userspace_memory_region region = {.memory_size = TRIAL_SIZE};
	void *memory =
		mmap(NULL, TRIAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*trial = (struct trial){.vm_fd = -1, .vcpu_fd = -1};
	if (memory == MAP_FAILED)
		return false;
	trial->memory = memory;
	fill(trial, code, size);
	region.userspace_addr = (uintptr_t)memory;
	trial->vm_fd = create_vm(kvm_fd);
	return trial->vm_fd >= 0 && ioctl(trial->vm_fd, KVM_SET_TSS_ADDR, TRIAL_TSS) == 0 &&
	       ioctl(trial->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0 &&
	       make_vcpu(trial, kvm_fd) && enter_long_mode(trial->vcpu_fd);
}

void trial_end(struct trial *trial)
{
	if (trial->run)
		munmap(trial->run, trial->run_size);
	if (trial->vcpu_fd >= 0)
		close(trial->vcpu_fd);
	if (trial->vm_fd >= 0)
		close(trial->vm_fd);
	if (trial->memory)
		munmap(trial->memory, TRIAL_SIZE);
}

int trial_run(const struct trial *trial)
{
	int ret;

	do
		ret = ioctl(trial->vcpu_fd, KVM_RUN, 0);
	while (ret < 0 && errno == EINTR);
	return ret;
}

bool trial_comes_to_out(const struct trial *trial)
{
	return trial_run(trial) == 0 && trial->run->exit_reason == KVM_EXIT_IO &&
	       trial->run->io.port == TRIAL_PORT;
}

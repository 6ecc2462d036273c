/* SPDX-License-Identifier: MIT */
#include "shadow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "alias_abi.h"

#define CURE "load it with %s=0, or use another --track"

/* The trial's memory: 64-bit code, tables that map the first 2 MiB, and a spare frame. */
#define TRIAL_SIZE 0x8000u
#define TRIAL_CODE 0x1000u
#define TRIAL_L4   0x2000u
#define TRIAL_L3   0x3000u
#define TRIAL_L2   0x4000u
#define TRIAL_PORT 0x10

#define PTE_LINK 0x23 /* present, writable, accessed */
#define PTE_LEAF 0xe3 /* and dirty, large */

/* TRIAL_L3 to TRIAL_L4 are read-only in the host. out TRIAL_PORT, al; mov [TRIAL_L4], rax */
static const uint8_t trial_code[] = {0xe6, TRIAL_PORT, 0x48, 0x89, 0x04, 0x25,
				     0x00, 0x20,       0x00, 0x00, 0xf4};

/* 'Y' or '1', 'N' or '0'; 0 if there is no such parameter. */
static char parameter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char value = 0;

	if (fd < 0)
		return 0;
	if (read(fd, &value, 1) != 1)
		value = 0;
	close(fd);
	return value;
}

/* Does the module say that it has the processor walk a second stage of tables? */
static bool nested_by_parameter(char *why, size_t size)
{
	static const struct {
		const char *path, *module, *name;
	} modules[] = {
		{"/sys/module/kvm_amd/parameters/npt", "kvm_amd", "npt"},
		{"/sys/module/kvm_intel/parameters/ept", "kvm_intel", "ept"},
	};

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		char value = parameter(modules[i].path);

		if (value != 'Y' && value != '1')
			continue;
		snprintf(
			why, size,
			"--track strict needs KVM's shadow MMU, and the module %s runs with %s=1: " CURE,
			modules[i].module, modules[i].name, modules[i].name);
		return true;
	}
	return false;
}

static void fill(uint8_t *memory)
{
	uint64_t link;

	memcpy(memory + TRIAL_CODE, trial_code, sizeof(trial_code));
	link = TRIAL_L3 | PTE_LINK;
	memcpy(memory + TRIAL_L4, &link, sizeof(link));
	link = TRIAL_L2 | PTE_LINK;
	memcpy(memory + TRIAL_L3, &link, sizeof(link));
	link = PTE_LEAF;
	memcpy(memory + TRIAL_L2, &link, sizeof(link));
}

static bool enter_long_mode(int vcpu_fd)
{
	struct kvm_segment code = {
		.selector = 8, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1, .limit = ~0u};
	struct kvm_segment data = {
		.selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1, .limit = ~0u};
	struct kvm_regs regs = {.rip = TRIAL_CODE, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return false;
	sregs.cr0 = 0x80010033; /* PG, WP, NE, ET, MP, PE */
	sregs.cr3 = TRIAL_L4;
	sregs.cr4 = 0x20;   /* PAE */
	sregs.efer = 0x500; /* LME, LMA */
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	return ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) == 0 &&
	       ioctl(vcpu_fd, KVM_SET_REGS, &regs) == 0;
}

static int run(int vcpu_fd)
{
	int ret;

	do
		ret = ioctl(vcpu_fd, KVM_RUN, 0);
	while (ret < 0 && errno == EINTR);
	return ret;
}

/* The guest walks its tables, so it comes to the `out`; its store to one does not come through. */
static bool tables_can_be_guarded(int vcpu_fd, const struct kvm_run *page)
{
	if (!enter_long_mode(vcpu_fd) || run(vcpu_fd) || page->exit_reason != KVM_EXIT_IO ||
	    page->io.port != TRIAL_PORT)
		return false;
	if (run(vcpu_fd))
		return errno == EFAULT;
	return page->exit_reason == KVM_EXIT_MMIO && page->mmio.is_write;
}

static bool try_vcpu(int kvm_fd, int vm_fd, uint8_t *memory)
{
	struct kvm_userspace_memory_region region = {.memory_size = TRIAL_SIZE,
						     .userspace_addr = (uintptr_t)memory};
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *page;
	bool ok = false;
	int vcpu_fd;

	fill(memory);
	if (mprotect(memory + TRIAL_L4, TRIAL_L2 + ALIAS_PAGE_SIZE - TRIAL_L4, PROT_READ) ||
	    size <= 0 || ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return false;
	vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	if (vcpu_fd < 0)
		return false;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
	if (page != MAP_FAILED) {
		ok = tables_can_be_guarded(vcpu_fd, page);
		munmap(page, size);
	}
	close(vcpu_fd);
	return ok;
}

static int create_vm(int kvm_fd)
{
	int fd;

	do /* a signal may interrupt it */
		fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static bool trial(int kvm_fd)
{
	uint8_t *memory =
		mmap(NULL, TRIAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int vm_fd = create_vm(kvm_fd);
	bool ok = false;

	if (memory != MAP_FAILED && vm_fd >= 0 && ioctl(vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000ul) == 0)
		ok = try_vcpu(kvm_fd, vm_fd, memory);
	if (vm_fd >= 0)
		close(vm_fd);
	if (memory != MAP_FAILED)
		munmap(memory, TRIAL_SIZE);
	return ok;
}

bool shadow_check(int kvm_fd, char *why, size_t size)
{
	if (nested_by_parameter(why, size))
		return false;
	if (trial(kvm_fd))
		return true;
	snprintf(why, size,
		 "--track strict needs KVM's shadow MMU, and on this host page tables that are "
		 "read-only do not work: load kvm_amd with npt=0 or kvm_intel with ept=0, or use "
		 "another --track");
	return false;
}

/* SPDX-License-Identifier: MIT */
/*
 * try-unpaged: does this KVM run a guest that starts without paging, as PVH guests do? Exit status
 * 0 if it does, 1 if the guest comes to another end than its own, 2 (and why, on stderr) if there
 * was no guest to try. A guest that is at its few instructions for LIMIT_S seconds comes to none.
 *
 * QEMU's emulation of a processor with nested paging gets unpaged guest code wrong in some
 * versions; one that starts in long mode runs there.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_SIZE (2u << 20)
#define CODE        0x1000u
#define PORT        0x70
#define CR0_PE      1u
#define LIMIT_S     20

/* A store and a load of memory that is touched for the first time, and then what was loaded by
 * `out`. */
static const unsigned char code[] = {
	0xb8, 0x5a, 0, 0,    0,       /* mov $0x5a, %eax */
	0xa3, 0,    0, 0x10, 0,       /* mov %eax, 0x100000 */
	0x8b, 0x1d, 0, 0,    0x10, 0, /* mov 0x100000, %ebx */
	0x89, 0xd8,                   /* mov %ebx, %eax */
	0xe6, PORT,                   /* out %al, $PORT */
};

/* ioctl() on what must succeed for there to be a guest. */
static int need(int fd, unsigned long request, void *argument, const char *name)
{
	int result = ioctl(fd, request, argument);

	if (result < 0)
		err(2, "%s", name);
	return result;
}

static void enter_protected_mode(int vcpu)
{
	struct kvm_segment segment = {
		.present = 1, .s = 1, .db = 1, .g = 1, .limit = ~0u, .selector = 8, .type = 3};
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	struct kvm_sregs sregs;

	need(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	sregs.cr0 |= CR0_PE;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment;
	segment.type = 0xb;
	sregs.cs = segment;
	need(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	need(vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

/* Interrupts KVM_RUN, which the default action would not let return. */
static void on_alarm(int signal)
{
	(void)signal;
}

/* False if it was interrupted: that guest stays where it is. */
static bool run_for_a_while(int vcpu)
{
	struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &action, NULL);
	alarm(LIMIT_S);
	if (ioctl(vcpu, KVM_RUN, NULL) == 0)
		return true;
	if (errno != EINTR)
		err(2, "KVM_RUN");
	return false;
}

int main(void)
{
	unsigned char *memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {.memory_size = MEMORY_SIZE,
						     .userspace_addr = (unsigned long)memory};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (memory == MAP_FAILED || kvm < 0)
		err(2, "/dev/kvm");
	memcpy(memory + CODE, code, sizeof(code));
	int vm = need(kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	need(vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
	int vcpu = need(vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
	int size = need(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
	struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	if (run == MAP_FAILED)
		err(2, "mmap of a vCPU");
	enter_protected_mode(vcpu);
	return !(run_for_a_while(vcpu) && run->exit_reason == KVM_EXIT_IO && run->io.port == PORT &&
		 *((unsigned char *)run + run->io.data_offset) == 0x5a);
}

/* SPDX-License-Identifier: MIT */
/* The probe VM, on a KVM that refuses what some kernels' do. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fake_kvm.h"
#include "kvm/probe_vm.h"
#include "kvm/upcall.h"
#include "suites.h"

#define KVM_FD   1000
#define RUN_SIZE 4096
#define EFER_LMA 0x400u

static bool has_cpuid;         /* the vCPU */
static bool refuses_long_mode; /* with a CPUID, too */
static unsigned long never;    /* a call that fails; 0: none does */

static int answer_device(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_GET_SUPPORTED_CPUID:
		((struct kvm_cpuid2 *)arg)->nent = 1;
		return 0;
	default:
		return 0;
	}
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

/* As Linux 6.12: no long mode for a processor that has not been told to have it. */
static int strict_kvm(int fd, unsigned long request, void *arg)
{
	if (request == never)
		return refuse(ENOSPC);
	switch (request) {
	case KVM_CREATE_VM:
		return memfd_create("VM", MFD_CLOEXEC);
	case KVM_CREATE_VCPU: {
		int vcpu = memfd_create("vCPU", MFD_CLOEXEC);

		ck_assert_int_eq(ftruncate(vcpu, RUN_SIZE), 0);
		return vcpu;
	}
	case KVM_SET_CPUID2:
		has_cpuid = true;
		return 0;
	case KVM_GET_SREGS:
		memset(arg, 0, sizeof(struct kvm_sregs));
		return 0;
	case KVM_SET_SREGS:
		if ((!has_cpuid || refuses_long_mode) && ((struct kvm_sregs *)arg)->efer & EFER_LMA)
			return refuse(EINVAL);
		return 0;
	default:
		return fd == KVM_FD ? answer_device(request, arg) : 0;
	}
}

static void set_up(void)
{
	fake_kvm = strict_kvm;
	has_cpuid = refuses_long_mode = false;
	never = 0;
}

static void tear_down(void)
{
	fake_kvm = NULL;
}

static bool can_begin(void)
{
	static const uint8_t hlt[] = {0xf4};
	struct probe_vm vm;
	bool begun = probe_vm_begin(&vm, KVM_FD, hlt, sizeof(hlt));

	probe_vm_end(&vm);
	return begun;
}

START_TEST(has_a_cpuid)
{
	ck_assert(can_begin());
}
END_TEST

static const unsigned long needed[] = {
	KVM_CREATE_VM,
	KVM_SET_USER_MEMORY_REGION,
	KVM_GET_VCPU_MMAP_SIZE,
	KVM_CREATE_VCPU,
	KVM_GET_SUPPORTED_CPUID,
	KVM_SET_CPUID2,
	KVM_GET_SREGS,
	KVM_SET_SREGS,
	KVM_SET_REGS,
};

START_TEST(all_is_needed)
{
	never = needed[_i];
	ck_assert(!can_begin());
}
END_TEST

/* A VM that can't be made says nothing of what was to be tried in it. */
START_TEST(refusal_is_told_from_the_answer)
{
	char why[256] = "";

	refuses_long_mode = true;
	ck_assert(!upcall_check(KVM_FD, 20, why, sizeof(why)));
	ck_assert_str_eq(why, PROBE_VM_REFUSED);
	refuses_long_mode = false;
	ck_assert(!upcall_check(KVM_FD, 20, why, sizeof(why)));
	ck_assert_str_eq(why, UPCALL_BROKEN);
}
END_TEST

TCase *probe_vm_tests(void)
{
	TCase *tc = tcase_create("probe VM");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, has_a_cpuid);
	tcase_add_loop_test(tc, all_is_needed, 0, sizeof(needed) / sizeof(needed[0]));
	tcase_add_test(tc, refusal_is_told_from_the_answer);
	return tc;
}

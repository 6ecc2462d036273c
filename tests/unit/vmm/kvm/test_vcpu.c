/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/kvm.h>
#include "fake_kvm.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"
#include "suites.h"

/* What KVM_SET_MSRS gives: the number of MSRs that were set, or -1. */
static int nr_set;

static int set_msrs(int fd, unsigned long request, void *arg)
{
	(void)fd;
	(void)arg;
	return request == KVM_SET_MSRS ? nr_set : FAKE_PASS;
}

/* errno is what some earlier call has left, for KVM leaves it alone when it refuses an MSR. */
static int set_mtrrs(int ret, int error)
{
	struct vcpu vcpu = {.fd = -1};
	int err;

	nr_set = ret;
	fake_kvm = set_msrs;
	errno = error;
	err = vcpu_set_mtrrs(&vcpu);
	fake_kvm = NULL;
	return err;
}

START_TEST(mtrrs_are_set)
{
	ck_assert_int_eq(set_mtrrs(1, 0), 0);
}
END_TEST

START_TEST(refused_mtrrs_are_an_error)
{
	ck_assert_int_eq(set_mtrrs(0, 0), -EINVAL);
	ck_assert_int_eq(set_mtrrs(-1, EFAULT), -EFAULT);
}
END_TEST

/* KVM, to a vCPU in protected mode whose code segment has the bit of long mode. */
static int long_segment(int fd, unsigned long request, void *arg)
{
	struct kvm_sregs *sregs = arg;

	(void)fd;
	switch (request) {
	case KVM_GET_SREGS:
		*sregs = (struct kvm_sregs){.cr0 = 1, .cs = {.l = 1}};
		return 0;
	case KVM_SET_SREGS:
		errno = EINVAL;
		return sregs->cs.l ? -1 : 0;
	default:
		return FAKE_PASS;
	}
}

START_TEST(a_flush_outside_of_long_mode)
{
	struct vm vm = {0};
	struct vcpu vcpu = {.fd = -1, .vm = &vm};

	fake_kvm = long_segment;
	ck_assert(vcpu_flush_tlb(&vcpu));
	fake_kvm = NULL;
}
END_TEST

static int small_run_page(int fd, unsigned long request, void *arg)
{
	struct kvm_cpuid2 *cpuid = arg;

	(void)fd;
	switch (request) {
	case KVM_GET_VCPU_MMAP_SIZE:
		return 64;
	case KVM_GET_SUPPORTED_CPUID:
		cpuid->nent = 0;
		return 0;
	case KVM_CREATE_VM:
		return 1000;
	default:
		return 0;
	}
}

START_TEST(a_small_run_page_is_an_error)
{
	struct vm vm;

	ck_assert_int_eq(vm_init(&vm, 1, NULL), 0);
	fake_kvm = small_run_page;
	errno = 0;
	ck_assert_int_eq(vm_create(&vm, -1), -EINVAL);
	fake_kvm = NULL;
	vm.fd = -1;
	vm_free(&vm);
}
END_TEST

TCase *vcpu_tests(void)
{
	TCase *tcase = tcase_create("vcpu");

	tcase_add_test(tcase, mtrrs_are_set);
	tcase_add_test(tcase, refused_mtrrs_are_an_error);
	tcase_add_test(tcase, a_flush_outside_of_long_mode);
	tcase_add_test(tcase, a_small_run_page_is_an_error);
	return tcase;
}

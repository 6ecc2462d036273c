/* SPDX-License-Identifier: MIT */
/* What is asked of a host before a guest runs on it. */
#include <errno.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include "fake_kvm.h"
#include "kvm/host.h"
#include "kvm/kvm.h"
#include "suites.h"

static int lacks; /* a capability; -1: none */

static int play_kvm(int fd, unsigned long request, void *arg)
{
	(void)fd;
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CHECK_EXTENSION:
		if ((intptr_t)arg == KVM_CAP_MAX_VCPUS)
			return 4;
		return (intptr_t)arg != lacks;
	default:
		return FAKE_PASS;
	}
}

static bool is_fit(unsigned cpus, char why[256])
{
	bool fit;

	why[0] = '\0';
	fake_kvm = play_kvm;
	fit = kvm_check(-1, cpus, why, 256);
	fake_kvm = NULL;
	return fit;
}

/* For this process, which is the test's own: madvise() as a kernel has it that knows no such
 * advice, or that fails at it. */
static void answer_populate(int error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	ck_assert_ptr_nonnull(filter);
	ck_assert_int_eq(seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)error),
					  SCMP_SYS(madvise), 1,
					  SCMP_A2(SCMP_CMP_EQ, MADV_POPULATE_WRITE, 0)),
			 0);
	ck_assert_int_eq(seccomp_load(filter), 0);
	seccomp_release(filter);
}

START_TEST(a_host_that_has_all)
{
	char why[256];

	lacks = -1;
	ck_assert(is_fit(4, why));
	ck_assert(!is_fit(5, why));
	ck_assert_ptr_nonnull(strstr(why, "--cpus 4"));
}
END_TEST

START_TEST(a_kvm_that_is_too_old)
{
	char why[256];

	lacks = KVM_CAP_IMMEDIATE_EXIT;
	ck_assert(!is_fit(1, why));
	ck_assert_ptr_nonnull(strstr(why, "KVM_CAP_IMMEDIATE_EXIT"));
	ck_assert_ptr_nonnull(strstr(why, HOST_LINUX_FLOOR));
}
END_TEST

START_TEST(a_kernel_that_is_too_old)
{
	char why[256];

	lacks = -1;
	answer_populate(EINVAL);
	ck_assert(!is_fit(1, why));
	ck_assert_ptr_nonnull(strstr(why, "MADV_POPULATE_WRITE"));
	ck_assert_ptr_nonnull(strstr(why, HOST_LINUX_FLOOR));
}
END_TEST

/* No memory just now says nothing about the kernel. */
START_TEST(a_kernel_that_has_no_memory)
{
	char why[256];

	lacks = -1;
	answer_populate(ENOMEM);
	ck_assert(is_fit(1, why));
}
END_TEST

TCase *kvm_tests(void)
{
	TCase *tests = tcase_create("kvm");

	tcase_add_test(tests, a_host_that_has_all);
	tcase_add_test(tests, a_kvm_that_is_too_old);
	tcase_add_test(tests, a_kernel_that_is_too_old);
	tcase_add_test(tests, a_kernel_that_has_no_memory);
	return tests;
}

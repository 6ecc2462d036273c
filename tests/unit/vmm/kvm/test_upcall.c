/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include "fake_kvm.h"
#include "suites.h"
#include "kvm/upcall.h"
#include "kvm/vcpu.h"

/* A vCPU at an `out`: RIP at the exit, and when that is completed. */
static uint64_t rip_at_exit, rip_past;
static bool completed;

static int vcpu_at_out(int fd, unsigned long request, void *arg)
{
	struct kvm_regs *regs = arg;

	(void)fd;
	switch (request) {
	case KVM_GET_REGS:
		*regs = (struct kvm_regs){.rip = completed ? rip_past : rip_at_exit};
		return 0;
	case KVM_RUN:
		completed = true;
		errno = EINTR;
		return -1;
	default:
		return FAKE_PASS;
	}
}

static bool possible(uint64_t at_exit, uint64_t past)
{
	struct kvm_run page = {0};
	struct vcpu vcpu = {.fd = -1, .run = &page};
	struct kvm_regs at_out;
	bool result;

	rip_at_exit = at_exit;
	rip_past = past;
	completed = false;
	fake_kvm = vcpu_at_out;
	result = upcall_complete_out(&vcpu, &at_out);
	fake_kvm = NULL;
	ck_assert(completed);
	ck_assert_uint_eq(at_out.rip, at_exit);
	ck_assert(page.immediate_exit);
	return result;
}

START_TEST(out_is_completed_later)
{
	ck_assert(possible(0x1000, 0x1001));
}
END_TEST

/* As kvm_pvm of Linux 6.18 does, which emulates the whole instruction before it exits. */
START_TEST(out_is_past_at_its_exit)
{
	ck_assert(!possible(0x1001, 0x1001));
}
END_TEST

TCase *upcall_tests(void)
{
	TCase *tests = tcase_create("upcall");

	tcase_add_test(tests, out_is_completed_later);
	tcase_add_test(tests, out_is_past_at_its_exit);
	return tests;
}

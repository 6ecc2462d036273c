/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include "fake_kvm.h"
#include "suites.h"
#include "kvm/upcall.h"
#include "kvm/vcpu.h"

/* A vCPU at an `out`: RIP at the exit, and when that is completed. */
static struct kvm_run page;
static uint64_t rip_past;
static bool completed;

static int vcpu_at_out(int fd, unsigned long request, void *arg)
{
	(void)fd, (void)arg;
	if (request != KVM_RUN)
		return FAKE_PASS;
	ck_assert(page.kvm_valid_regs & KVM_SYNC_X86_EVENTS);
	page.s.regs.regs.rip = rip_past;
	completed = true;
	errno = EINTR;
	return -1;
}

static bool possible(uint64_t at_exit, uint64_t past)
{
	struct vcpu vcpu = {.fd = -1, .run = &page};
	struct kvm_regs at_out;
	bool result;

	page = (struct kvm_run){.kvm_valid_regs = KVM_SYNC_X86_REGS, .s.regs.regs.rip = at_exit};
	rip_past = past;
	completed = false;
	fake_kvm = vcpu_at_out;
	result = upcall_complete_out(&vcpu, &at_out);
	fake_kvm = NULL;
	ck_assert(completed);
	ck_assert_uint_eq(at_out.rip, at_exit);
	ck_assert(page.immediate_exit);
	ck_assert_uint_eq(page.kvm_valid_regs, KVM_SYNC_X86_REGS);
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

/* Intel SDM, vol. 3, table 6-5. */
static const struct {
	unsigned first, second, then;
} tops[] = {
	{6, 13, 13},
	{6, 14, 14},
	{3, 32, 32},
	{13, 20, 20},
	{13, 13, 8},
	{0, 13, 8},
	{10, 11, 8},
	{13, 14, 14},
	{14, 14, 8},
	{14, 13, 8},
	{14, 6, 6},
	{8, 6, 6},
	{8, 13, EXCEPTION_SHUTDOWN},
	{8, 14, EXCEPTION_SHUTDOWN},
};

START_TEST(one_on_top_of_another)
{
	ck_assert_uint_eq(exception_on_top(tops[_i].first, tops[_i].second), tops[_i].then);
}
END_TEST

static struct kvm_vcpu_events events;
static uint64_t set_rip;

static int vcpu_with_events(int fd, unsigned long request, void *arg)
{
	(void)fd;
	if (request == KVM_GET_VCPU_EVENTS)
		*(struct kvm_vcpu_events *)arg = events;
	else if (request == KVM_SET_VCPU_EVENTS)
		events = *(struct kvm_vcpu_events *)arg;
	else if (request == KVM_SET_REGS)
		set_rip = ((const struct kvm_regs *)arg)->rip;
	else
		return FAKE_PASS;
	return 0;
}

/* A fault on the way to a handler takes the place of what was on the way. */
START_TEST(faults_while_delivering)
{
	struct vcpu vcpu = {.fd = -1};

	fake_kvm = vcpu_with_events;
	events = (struct kvm_vcpu_events){0};
	ck_assert_int_eq(vcpu_is_delivering(&vcpu), 0);
	events.interrupt.injected = 1;
	ck_assert_int_eq(vcpu_is_delivering(&vcpu), 1);
	ck_assert_int_eq(vcpu_raise(&vcpu, 14, 2), 0);
	ck_assert(events.exception.injected && !events.interrupt.injected);
	ck_assert(events.exception.nr == 14 && events.exception.error_code == 2);
	ck_assert_int_eq(vcpu_raise(&vcpu, 13, 7), 0);
	ck_assert(events.exception.nr == 8 && events.exception.has_error_code);
	ck_assert_uint_eq(events.exception.error_code, 0);
	ck_assert_int_eq(vcpu_raise(&vcpu, 13, 0), -ESHUTDOWN);
	fake_kvm = NULL;
}
END_TEST

/* So does an upcall, of which KVM_RUN has told. */
START_TEST(upcall_while_delivering)
{
	struct vcpu vcpu = {.fd = -1, .run = &page};
	struct kvm_regs at_out;

	ck_assert(possible(0x1000, 0x1001));
	page.s.regs.events.interrupt.injected = 1;
	page.s.regs.regs.rip = 0x1000;
	fake_kvm = vcpu_at_out;
	ck_assert(upcall_complete_out(&vcpu, &at_out));
	fake_kvm = vcpu_with_events;
	ck_assert_int_eq(upcall_raise(&vcpu, &at_out, 20), 0);
	ck_assert(events.exception.injected && !events.interrupt.injected);
	ck_assert_uint_eq(events.exception.nr, 20);
	ck_assert_uint_eq(set_rip, 0x1000);
	page.s.regs.events.exception.injected = 1;
	page.s.regs.events.exception.nr = 8;
	ck_assert_int_eq(upcall_raise(&vcpu, &at_out, 13), -ESHUTDOWN);
	fake_kvm = NULL;
}
END_TEST

TCase *upcall_tests(void)
{
	TCase *tests = tcase_create("upcall");

	tcase_add_test(tests, out_is_completed_later);
	tcase_add_test(tests, out_is_past_at_its_exit);
	tcase_add_loop_test(tests, one_on_top_of_another, 0, sizeof(tops) / sizeof(tops[0]));
	tcase_add_test(tests, faults_while_delivering);
	tcase_add_test(tests, upcall_while_delivering);
	return tests;
}

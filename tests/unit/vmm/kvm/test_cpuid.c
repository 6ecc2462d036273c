/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include "kvm/cpuid.h"
#include "suites.h"

static struct kvm_cpuid2 *sample(void)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{.function = 0x0, .eax = 0x1f, .ebx = 0x68747541},
		{.function = 0x1,
		 .eax = 0x663,
		 .ebx = 0x7f20ff11,
		 .ecx = 1u << 5 | 1,
		 .edx = 1u << 28},
		{.function = 0x4, .index = 0, .eax = 0xffc04121},
		{.function = 0x4, .index = 4, .eax = 0},
		{.function = 0xb, .index = 0, .eax = 9, .ebx = 9, .ecx = 0x100, .edx = 99},
		{.function = 0xb, .index = 1, .eax = 9, .ebx = 9, .ecx = 0x201, .edx = 99},
		{.function = 0xb, .index = 2, .eax = 9, .ebx = 9, .ecx = 2, .edx = 99},
		{.function = 0x80000008, .eax = 0x3028, .ecx = 0x7f7f},
		{.function = 0x8000001e, .eax = 99, .ebx = 0x199, .ecx = 7},
		{.function = 0x7, .index = 0, .ecx = 1u << 16 | 1u << 2},
		{.function = 0x7, .index = 1, .ecx = 1u << 16},
		{.function = 0x80000001, .ecx = 1u << 2 | 1u << 5},
		{.function = 0x8000000a, .eax = 1, .ebx = 8, .edx = 0xff},
	};
	const unsigned nr = sizeof(entries) / sizeof(entries[0]);
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + sizeof(entries));

	ck_assert_ptr_nonnull(cpuid);
	cpuid->nent = nr;
	for (unsigned i = 0; i < nr; i++)
		cpuid->entries[i] = entries[i];
	return cpuid;
}

/* The same list is patched for one vCPU after the other. */
START_TEST(each_vcpu_is_itself)
{
	struct kvm_cpuid2 *cpuid = sample();
	struct kvm_cpuid_entry2 *e = cpuid->entries;

	for (uint32_t i = 0; i < 6; i++) {
		cpuid_patch(cpuid, i, 6, true);
		ck_assert_uint_eq(e[0].ebx, 0x68747541);
		ck_assert_uint_eq(e[1].eax, 0x663);
		ck_assert_uint_eq(e[1].ebx, i << 24 | 6 << 16 | 0xff11);
		ck_assert_uint_eq(e[1].ecx, 1u << 31 | 1u << 24 | 1u << 21 | 1);
		ck_assert_uint_eq(e[1].edx, 1u << 28);
		ck_assert_uint_eq(e[2].eax, 5u << 26 | 0x03c04121);
		ck_assert_uint_eq(e[3].eax, 0);
		for (unsigned sub = 4; sub <= 6; sub++)
			ck_assert_uint_eq(e[sub].edx, i);
		ck_assert_uint_eq(e[4].ebx, 1);
		ck_assert_uint_eq(e[5].eax, 3); /* 6 ids need 3 bits */
		ck_assert_uint_eq(e[5].ebx, 6);
		ck_assert_uint_eq(e[6].ebx, 0);
		ck_assert_uint_eq(e[7].eax, 0x3028);
		ck_assert_uint_eq(e[7].ecx, 3 << 12 | 0x0f00 | 5);
		ck_assert_uint_eq(e[8].eax, i);
		ck_assert_uint_eq(e[9].ecx, 1u << 2); /* no five levels */
		ck_assert_uint_eq(e[10].ecx, 1u << 16);
		ck_assert_uint_eq(e[11].ecx, 1u << 5); /* no virtual machines in this one */
		ck_assert_uint_eq(e[12].eax | e[12].ebx | e[12].edx, 0);
	}
	free(cpuid);
}
END_TEST

START_TEST(one_vcpu)
{
	struct kvm_cpuid2 *cpuid = sample();

	cpuid_patch(cpuid, 0, 1, false);
	ck_assert_uint_eq(cpuid->entries[1].edx & 1u << 28, 0);
	ck_assert_uint_eq(cpuid->entries[1].ecx & 1u << 24, 0);
	ck_assert_uint_eq(cpuid->entries[1].ebx, 0x0001ff11);
	ck_assert_uint_eq(cpuid->entries[5].eax, 0);
	ck_assert_uint_eq(cpuid->entries[5].ebx, 1);
	free(cpuid);
}
END_TEST

TCase *cpuid_tests(void)
{
	TCase *tc = tcase_create("cpuid");

	tcase_add_test(tc, each_vcpu_is_itself);
	tcase_add_test(tc, one_vcpu);
	return tc;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "kvm/exit.h"
#include "suites.h"

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define PAGE         4096u

/* As KVM maps it: the run page, then the page with the data of port I/O. */
static union {
	struct kvm_run run;
	uint8_t bytes[3 * PAGE];
} area;

static struct kvm_run *run_with(uint32_t reason)
{
	memset(&area, 0, sizeof(area));
	area.run.exit_reason = reason;
	return &area.run;
}

static struct kvm_run *pio(uint8_t direction, uint8_t size, uint32_t count, uint64_t offset)
{
	struct kvm_run *run = run_with(KVM_EXIT_IO);

	run->io.direction = direction;
	run->io.size = size;
	run->io.port = 0x3f8;
	run->io.count = count;
	run->io.data_offset = offset;
	return run;
}

START_TEST(port_output)
{
	struct kvm_run *run = pio(KVM_EXIT_IO_OUT, 4, 1, PAGE);
	struct exit exit;

	memcpy(area.bytes + PAGE, "\x78\x56\x34\x12\xff", 5);
	exit = exit_decode(run, sizeof(area));
	ck_assert_int_eq(exit.kind, EXIT_PIO);
	ck_assert(exit.io.write);
	ck_assert_uint_eq(exit.io.len, 4);
	ck_assert_uint_eq(exit.io.count, 1);
	ck_assert_uint_eq(exit.io.addr, 0x3f8);
	ck_assert_uint_eq(exit_get(run, &exit.io, 0), 0x12345678);
}
END_TEST

START_TEST(string_input)
{
	struct kvm_run *run = pio(KVM_EXIT_IO_IN, 2, 3, PAGE);
	struct exit exit = exit_decode(run, sizeof(area));

	ck_assert_int_eq(exit.kind, EXIT_PIO);
	ck_assert(!exit.io.write);
	ck_assert_uint_eq(exit.io.count, 3);
	for (uint32_t i = 0; i < 3; i++)
		exit_put(run, &exit.io, i, 0xffff0000u | (0x1111 * (i + 1)));
	ck_assert_mem_eq(area.bytes + PAGE, "\x11\x11\x22\x22\x33\x33\0", 7);
}
END_TEST

static const struct {
	uint8_t size;
	uint32_t count;
	uint64_t offset;
	bool valid;
} pios[] = {
	{1, PAGE, 2 * PAGE, true},     {1, PAGE + 1, 2 * PAGE, false},
	{4, PAGE / 4, 2 * PAGE, true}, {4, PAGE / 4, 2 * PAGE + 1, false},
	{4, UINT32_MAX, PAGE, false},  {4, 0x40000001, PAGE, false},
	{1, 1, 3 * PAGE - 1, true},    {1, 1, 3 * PAGE, false},
	{1, 1, UINT64_MAX, false},     {1, 0, PAGE, false},
	{0, 1, PAGE, false},           {3, 1, PAGE, false},
	{8, 1, PAGE, false},
};

START_TEST(port_bounds)
{
	struct kvm_run *run = pio(KVM_EXIT_IO_OUT, pios[_i].size, pios[_i].count, pios[_i].offset);

	ck_assert_int_eq(exit_decode(run, sizeof(area)).kind,
			 pios[_i].valid ? EXIT_PIO : EXIT_MALFORMED);
}
END_TEST

START_TEST(memory_access)
{
	struct kvm_run *run = run_with(KVM_EXIT_MMIO);
	struct exit exit;

	run->mmio.phys_addr = 0xd0000070;
	run->mmio.len = 8;
	run->mmio.is_write = 1;
	memcpy(run->mmio.data, "\1\2\3\4\5\6\7\10", 8);
	exit = exit_decode(run, sizeof(area));
	ck_assert_int_eq(exit.kind, EXIT_MMIO);
	ck_assert(exit.io.write);
	ck_assert_uint_eq(exit.io.addr, 0xd0000070);
	ck_assert_uint_eq(exit.io.count, 1);
	ck_assert_uint_eq(exit_get(run, &exit.io, 0), 0x0807060504030201);
	run->mmio.is_write = 0;
	run->mmio.len = 2;
	exit = exit_decode(run, sizeof(area));
	ck_assert(!exit.io.write);
	exit_put(run, &exit.io, 0, 0xabcdef);
	ck_assert_mem_eq(run->mmio.data, "\xef\xcd\3", 3);
}
END_TEST

START_TEST(memory_access_bounds)
{
	struct kvm_run *run = run_with(KVM_EXIT_MMIO);

	run->mmio.len = 0;
	ck_assert_int_eq(exit_decode(run, sizeof(area)).kind, EXIT_MALFORMED);
	run->mmio.len = 9;
	ck_assert_int_eq(exit_decode(run, sizeof(area)).kind, EXIT_MALFORMED);
	run->mmio.len = 3; /* part of an access across two pages */
	ck_assert_int_eq(exit_decode(run, sizeof(area)).kind, EXIT_MMIO);
}
END_TEST

static const struct {
	uint32_t reason;
	enum exit_kind kind;
	const char *name;
} others[] = {
	{KVM_EXIT_INTR, EXIT_AGAIN, "KVM_EXIT_INTR"},
	{KVM_EXIT_IRQ_WINDOW_OPEN, EXIT_AGAIN, "KVM_EXIT_IRQ_WINDOW_OPEN"},
	{KVM_EXIT_SHUTDOWN, EXIT_SHUTDOWN, "KVM_EXIT_SHUTDOWN"},
	{KVM_EXIT_SYSTEM_EVENT, EXIT_SHUTDOWN, "KVM_EXIT_SYSTEM_EVENT"},
	{KVM_EXIT_HLT, EXIT_UNHANDLED, "KVM_EXIT_HLT"},
	{KVM_EXIT_FAIL_ENTRY, EXIT_STUCK, "KVM_EXIT_FAIL_ENTRY"},
	{KVM_EXIT_INTERNAL_ERROR, EXIT_STUCK, "KVM_EXIT_INTERNAL_ERROR"},
	{KVM_EXIT_UNKNOWN, EXIT_STUCK, "KVM_EXIT_UNKNOWN"},
	{12345, EXIT_UNHANDLED, "unknown exit"},
	{UINT32_MAX, EXIT_UNHANDLED, "unknown exit"},
};

START_TEST(other_exits)
{
	ck_assert_int_eq(exit_decode(run_with(others[_i].reason), sizeof(area)).kind,
			 others[_i].kind);
	ck_assert_str_eq(exit_name(others[_i].reason), others[_i].name);
}
END_TEST

TCase *exit_tests(void)
{
	TCase *tc = tcase_create("exit");

	tcase_add_test(tc, port_output);
	tcase_add_test(tc, string_input);
	tcase_add_loop_test(tc, port_bounds, 0, NR_OF(pios));
	tcase_add_test(tc, memory_access);
	tcase_add_test(tc, memory_access_bounds);
	tcase_add_loop_test(tc, other_exits, 0, NR_OF(others));
	return tc;
}

/* SPDX-License-Identifier: MIT */
#include "suites.h"

#include <stdio.h>
#include <string.h>

#include "bootargs.h"
#include "panic.h"
#include "fake_platform.h"

BOOTARG(alpha, "a word");
BOOTARG(beta, "a number");

/* Each test runs in a process of its own, so there are no words from before. */
static void check_refused(const char *words, const char *says)
{
	ck_assert_msg(ENDS(bootargs_init(words)), "'%s' was taken", words);
	ck_assert_uint_eq(fake.status, EXIT_BAD_ARGS);
	ck_assert_msg(strstr(fake.console, says), "%s", fake.console);
	ck_assert_ptr_eq(strchr(fake.console, '\n'), fake.console + strlen(fake.console) - 1);
}

START_TEST(well_formed)
{
	bootargs_init("  alpha=one beta=0x1F  alpha=two=three ");
	ck_assert_str_eq(arg_str("alpha"), "two=three");
	ck_assert_uint_eq(arg_u64("beta", 7), 0x1f);
}
END_TEST

START_TEST(nothing_given)
{
	bootargs_init("");
	ck_assert_ptr_null(arg_str("alpha"));
	ck_assert_uint_eq(arg_u64("beta", 7), 7);
	ck_assert(ENDS(arg_str("gamma"))); /* nobody declared it */
	ck_assert_uint_eq(fake.status, EXIT_PANIC);
}
END_TEST

START_TEST(unknown_key)
{
	check_refused("alpha=1 gamma=2", "unknown boot argument 'gamma'; there are:");
	ck_assert_ptr_nonnull(strstr(fake.console, " alpha="));
	ck_assert_ptr_nonnull(strstr(fake.console, " beta="));
}
END_TEST

START_TEST(no_value)
{
	check_refused("alpha", "expected a word key=value");
}
END_TEST

START_TEST(too_many)
{
	char many[65 * 8 + 1] = "";

	for (unsigned i = 0; i < 65; i++)
		strcat(many, "alpha=1 ");
	check_refused(many, "more than 64");
}
END_TEST

static const struct {
	const char *text;
	uint64_t value;
	bool good;
} numbers[] = {
	{"0", 0, true},
	{"18446744073709551614", UINT64_MAX - 1, true},
	{"4K", 4096, true},
	{"0x10M", 16ul << 20, true},
	{"3G", 3ul << 30, true},
	{"", 0, false},
	{"0x", 0, false},
	{"-1", 0, false},
	{"+1", 0, false},
	{"1KB", 0, false},
	{"12x", 0, false},
	{"K", 0, false},
	{"18446744073709551616", 0, false},
	{"99999999999999999999999", 0, false},
	{"17179869184G", 0, false},
};

START_TEST(number)
{
	char words[64];

	snprintf(words, sizeof(words), "beta=%s", numbers[_i].text);
	bootargs_init(words);
	if (numbers[_i].good) {
		ck_assert_uint_eq(arg_u64("beta", 7), numbers[_i].value);
		return;
	}
	ck_assert_msg(ENDS(arg_u64("beta", 7)), "'%s' was taken", numbers[_i].text);
	ck_assert_uint_eq(fake.status, EXIT_BAD_ARGS);
}
END_TEST

Suite *bootargs_suite(void)
{
	Suite *suite = suite_create("bootargs");
	TCase *tcase = tcase_create("bootargs");

	tcase_add_test(tcase, well_formed);
	tcase_add_test(tcase, nothing_given);
	tcase_add_test(tcase, unknown_key);
	tcase_add_test(tcase, no_value);
	tcase_add_test(tcase, too_many);
	tcase_add_loop_test(tcase, number, 0, sizeof(numbers) / sizeof(numbers[0]));
	suite_add_tcase(suite, tcase);
	return suite;
}

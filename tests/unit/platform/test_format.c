/* SPDX-License-Identifier: MIT */
/* ksnprintf() against the C library's snprintf(). */
#include "suites.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "console.h"

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wformat-truncation" /* what some of this is about */
#endif
#pragma GCC diagnostic ignored "-Wformat" /* flags that are overruled */

/* Both, into a buffer of `size` that is a little too small in some of the cases. */
#define SAME(size, ...)                                                                            \
	do {                                                                                       \
		char want[200], got[200];                                                          \
		int want_len = snprintf(want, size, __VA_ARGS__);                                  \
		size_t got_len = ksnprintf(got, size, __VA_ARGS__);                                \
		ck_assert_str_eq(got, want);                                                       \
		ck_assert_uint_eq(got_len, (size_t)want_len);                                      \
	} while (0)

START_TEST(integers)
{
	static const long values[] = {0,       1,        -1,       9,        10,
				      255,     256,      -32768,   65535,    INT_MAX,
				      INT_MIN, UINT_MAX, LONG_MAX, LONG_MIN, 0x1234abcd};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		long v = values[i];

		SAME(200, "%d %5d %-5d| %05d %.3d", (int)v, (int)v, (int)v, (int)v, (int)v);
		SAME(200, "%u %x %X %#x %08x", (int)v, (int)v, (int)v, (int)v, (int)v);
		SAME(200, "%ld %lu %lx %#018lx %llu", v, v, v, v, (unsigned long long)v);
		SAME(200, "%zu %hd %hhu %hx", (size_t)v, (short)v, (unsigned char)v,
		     (unsigned short)v);
		SAME(200, "%*d %-*x %8.5d %-8.5u|", 7, (int)v, 9, (int)v, (int)v, (int)v);
		SAME(200, "%08.3d %-08d| %-08x|", (int)v, (int)v, (int)v);
		SAME(9, "%ld and more", v);
	}
}
END_TEST

START_TEST(text)
{
	SAME(200, "plain, 100 %%");
	SAME(200, "[%s] [%10s] [%-10s] [%.2s] [%.*s]", "abc", "abc", "abc", "abc", 1, "abc");
	SAME(200, "%c%c %-3c|", 'x', 'y', 'z');
	SAME(200, "%p", (void *)0x1234abcd);
	SAME(1, "%s", "cut");
	SAME(4, "%s", "cut off");
	ck_assert_uint_eq(ksnprintf(NULL, 0, "%d", 12345), 5);
}
END_TEST

Suite *format_suite(void)
{
	Suite *suite = suite_create("format");
	TCase *tcase = tcase_create("format");

	tcase_add_test(tcase, integers);
	tcase_add_test(tcase, text);
	suite_add_tcase(suite, tcase);
	return suite;
}

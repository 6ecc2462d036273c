/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "devices/input.h"
#include "suites.h"

#define QUIT (INPUT_CHUNK + 1)

static const struct {
	const char *typed, *passed; /* NULL: it is the end */
} cases[] = {
	{"abc", "abc"},
	{"a\001\001b", "a\001b"},
	{"\001\001\001\001", "\001\001"},
	{"ab\001x", NULL},
	{"\001xab", NULL},
	{"\001\001x", "\001x"},
	{"\001\001\001x", NULL},
	{"\001y", ""},
	{"\001yx", "x"},
	{"\003\032\034", "\003\032\034"}, /* Ctrl-C, Ctrl-Z, Ctrl-\ are the guest's */
	{"\001", ""},
};

/* All at once, and byte by byte: the escape outlives a read. */
START_TEST(escapes)
{
	struct input whole = {0}, single = {0};
	uint8_t bytes[INPUT_CHUNK], out[INPUT_CHUNK];
	size_t len = strlen(cases[_i].typed), kept, nr = 0;

	memcpy(bytes, cases[_i].typed, len);
	kept = input_filter(&whole, bytes, len);
	if (!cases[_i].passed) {
		ck_assert_uint_eq(kept, QUIT);
	} else {
		ck_assert_uint_eq(kept, strlen(cases[_i].passed));
		ck_assert_mem_eq(bytes, cases[_i].passed, kept);
	}
	for (size_t i = 0; i < len && nr < QUIT; i++) {
		uint8_t byte = cases[_i].typed[i];

		kept = input_filter(&single, &byte, 1);
		if (kept == 1)
			out[nr] = byte;
		nr = kept == QUIT ? QUIT : nr + kept;
	}
	if (!cases[_i].passed) {
		ck_assert_uint_eq(nr, QUIT);
	} else {
		ck_assert_uint_eq(nr, strlen(cases[_i].passed));
		ck_assert_mem_eq(out, cases[_i].passed, nr);
	}
}
END_TEST

TCase *input_tests(void)
{
	TCase *tc = tcase_create("input");

	tcase_add_loop_test(tc, escapes, 0, sizeof(cases) / sizeof(cases[0]));
	return tc;
}

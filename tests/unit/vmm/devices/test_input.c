/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
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

/* --- what the guest takes --------------------------------------------------------------------- */

static struct {
	size_t room, nr;
	uint8_t bytes[65536];
} guest;

static size_t receive(void *dev, const uint8_t *bytes, size_t nr)
{
	size_t taken = nr < guest.room ? nr : guest.room;

	(void)dev;
	memcpy(guest.bytes + guest.nr, bytes, taken);
	guest.nr += taken;
	guest.room -= taken;
	return taken;
}

/* Puts this on standard input; the rest of a test reads it by `input`. */
static void type(struct input *input, bool terminal, const uint8_t *bytes, size_t nr)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[0], STDIN_FILENO);
	ck_assert_int_eq(write(fds[1], bytes, nr), (ssize_t)nr);
	close(fds[0]);
	close(fds[1]);
	*input = (struct input){.terminal = terminal, .sink = {.receive = receive}};
	memset(&guest, 0, sizeof(guest));
}

/* The guest reads nothing, and the user wants to leave. */
START_TEST(ctrl_a_x_behind_much_input)
{
	static uint8_t typed[20000];
	static struct input input;
	enum input_result result = INPUT_GOES_ON;

	memset(typed, 'x', sizeof(typed));
	memcpy(typed + sizeof(typed) - 2, "\001x", 2);
	type(&input, true, typed, sizeof(typed));
	while (result == INPUT_GOES_ON && input_wanted(&input))
		result = input_read(&input);
	ck_assert_int_eq(result, INPUT_QUIT);
}
END_TEST

/* In whatever pieces the guest takes it: all, and in order. */
START_TEST(a_guest_that_takes_little)
{
	static uint8_t typed[60000];
	static struct input input;

	for (size_t i = 0; i < sizeof(typed); i++)
		typed[i] = (uint8_t)('a' + i % 26);
	type(&input, _i, typed, sizeof(typed));
	while (guest.nr < sizeof(typed)) {
		if (input_wanted(&input))
			ck_assert_int_eq(input_read(&input), INPUT_GOES_ON);
		guest.room += 777;
		input_room(&input);
	}
	ck_assert_mem_eq(guest.bytes, typed, sizeof(typed));
}
END_TEST

TCase *input_tests(void)
{
	TCase *tc = tcase_create("input");

	tcase_add_loop_test(tc, escapes, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, ctrl_a_x_behind_much_input);
	tcase_add_loop_test(tc, a_guest_that_takes_little, 0, 2);
	return tc;
}

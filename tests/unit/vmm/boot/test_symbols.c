/* SPDX-License-Identifier: MIT */
/* The names of a guest's code: what is looked up, and answers that are wrong. */
#include "boot/symbols.h"
#include <stdlib.h>
#include <string.h>
#include "suites.h"

struct answer {
	struct symbols_header header;
	struct symbols_row rows[3];
	char text[16];
} __attribute__((packed));

/* "f" in a.c from 0x100, of which nothing is known from 0x200, and "g" from 0x300. */
static const struct answer good = {
	.header = {SYMBOLS_MAGIC, 3, 16, 0},
	.rows = {{0x100, 1, 3, 7, 0}, {0x200, 0, 0, 0, 0}, {0x300, 7, 0, 0, 0}},
	.text = "\0f\0a.c\0g",
};

static struct symbols *check(const struct answer *answer, size_t size)
{
	return symbols_check(memcpy(malloc(size), answer, size), size);
}

static void expect_name(const struct symbols *symbols, uint64_t addr, const char *want)
{
	char name[SYMBOLS_MAX_NAME];

	ck_assert_str_eq(symbols_caller(symbols, addr, name), want);
}

START_TEST(names)
{
	struct symbols *symbols = check(&good, sizeof(good));

	ck_assert_ptr_nonnull(symbols);
	expect_name(symbols, 0x105, "f (a.c:7)");
	expect_name(symbols, 0x100, "0x100"); /* the call is before it */
	expect_name(symbols, 0x200, "f (a.c:7)");
	expect_name(symbols, 0x201, "0x201");
	expect_name(symbols, UINT64_MAX, "g");
	expect_name(symbols, 0, "g"); /* a call at the very end */
	symbols_free(symbols);
	expect_name(NULL, 0x105, "0x105");
	symbols_free(NULL);
}
END_TEST

START_TEST(wrong_answers)
{
	struct answer wrong[] = {good, good, good, good, good, good, good, good};

	wrong[0].header.magic++;
	wrong[1].header.nr_rows = 4;
	wrong[2].header.nr_rows = UINT32_MAX;
	wrong[3].header.text_size = 0;
	wrong[4].rows[1].addr = 0x100;
	wrong[5].rows[2].function = 16;
	wrong[6].text[15] = 'x';
	wrong[7].text[1] = '"';
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!check(&wrong[i], sizeof(good)), "%zu", i);
	for (size_t size = 1; size < sizeof(good); size++)
		ck_assert_ptr_null(check(&good, size));
}
END_TEST

TCase *symbols_tests(void)
{
	TCase *tc = tcase_create("symbols");

	tcase_add_test(tc, names);
	tcase_add_test(tc, wrong_answers);
	return tc;
}

/* SPDX-License-Identifier: MIT */
/* Texts that are written as streams, where a part of one had no memory. */
#include "text_stream.h"

#include <string.h>
#include "suites.h"

/* A stream that has room for three bytes, and tells at once if they are not enough. */
static char *written(char *text, const char *first, const char *last)
{
	static char room[3];
	FILE *out = fmemopen(room, sizeof(room), "w");

	setvbuf(out, NULL, _IONBF, 0);
	fputs(first, out);
	fputs(last, out);
	return text_stream_close(out, &text);
}

START_TEST(a_text_that_has_all_its_parts)
{
	char *text = written(strdup("all of it"), "a", "b");

	ck_assert_str_eq(text, "all of it");
	free(text);
}
END_TEST

START_TEST(a_text_that_lacks_a_part)
{
	ck_assert_ptr_null(written(strdup("a part of it"), "too much", ""));
}
END_TEST

TCase *text_stream_tests(void)
{
	TCase *tc = tcase_create("text-stream");

	tcase_add_test(tc, a_text_that_has_all_its_parts);
	tcase_add_test(tc, a_text_that_lacks_a_part);
	return tc;
}

/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "json_object.h"
#include "suites.h"

struct sample {
	uint8_t small;
	uint16_t port;
	uint32_t count;
	uint64_t large;
	bool set;
	const char *text, *none, *bytes;
};

static const struct field fields[] = {
	FIELD(sample, small),
	FIELD_AS("as", sample, port),
	FIELD(sample, count),
	FIELD_OF(FIELD_HEX, "hex", sample, large),
	FIELD_OF(FIELD_BOOL, "set", sample, set),
	FIELD_OF(FIELD_TEXT, "text", sample, text),
	FIELD_OF(FIELD_TEXT, "none", sample, none),
	FIELD_OF(FIELD_TEXT, "bytes", sample, bytes),
};

/* Each member is read by its size and no further. */
START_TEST(a_structure_becomes_an_object)
{
	struct sample sample;
	json_t *object = json_object();
	char *text;

	memset(&sample, 0xff, sizeof(sample));
	sample.small = 1;
	sample.port = 2;
	sample.count = 3;
	sample.set = true;
	sample.text = "t";
	sample.none = NULL;
	sample.bytes = "\xff";
	ADD_FIELDS(object, fields, &sample);
	text = json_dumps(object, JSON_COMPACT);
	ck_assert_str_eq(text, "{\"small\":1,\"as\":2,\"count\":3,\"hex\":\"0xffffffffffffffff\","
			       "\"set\":true,\"text\":\"t\",\"bytes\":\"(not UTF-8)\"}");
	free(text);
	json_decref(object);
}
END_TEST

START_TEST(several_become_their_sum)
{
	struct sample samples[3] = {{.small = 200, .count = 1}, {.small = 100}, {.count = 5}};
	json_t *object = json_object();

	object_add_sums(object, fields, 3, samples, sizeof(samples[0]), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "small")), 300);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "as")), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(object, "count")), 6);
	ck_assert_uint_eq(json_object_size(object), 3);
	json_decref(object);
}
END_TEST

TCase *json_object_tests(void)
{
	TCase *tc = tcase_create("json objects");

	tcase_add_test(tc, a_structure_becomes_an_object);
	tcase_add_test(tc, several_become_their_sum);
	return tc;
}

/* SPDX-License-Identifier: MIT */
#include "json_object.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

void object_add_number(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

void object_add_text(json_t *object, const char *name, const char *text)
{
	json_t *string = json_string(text);

	json_object_set_new(object, name, string ? string : json_string("(not UTF-8)"));
}

void object_add_hex(json_t *object, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	json_object_set_new(object, name, json_string(text));
}

static uint64_t load_number(const void *from, size_t size)
{
	switch (size) {
	case 1:
		return __atomic_load_n((const uint8_t *)from, __ATOMIC_RELAXED);
	case 2:
		return __atomic_load_n((const uint16_t *)from, __ATOMIC_RELAXED);
	case 4:
		return __atomic_load_n((const uint32_t *)from, __ATOMIC_RELAXED);
	default:
		return __atomic_load_n((const uint64_t *)from, __ATOMIC_RELAXED);
	}
}

static void add_field(json_t *object, const struct field *field, const void *member)
{
	const char *text;

	switch (field->kind) {
	case FIELD_NUMBER:
		object_add_number(object, field->name, load_number(member, field->size));
		break;
	case FIELD_HEX:
		object_add_hex(object, field->name, load_number(member, field->size));
		break;
	case FIELD_BOOL:
		json_object_set_new(object, field->name, json_boolean(load_number(member, 1)));
		break;
	case FIELD_REAL:
		json_object_set_new(object, field->name, json_real(*(const double *)member));
		break;
	case FIELD_TEXT:
		text = *(const char *const *)member;
		if (text)
			object_add_text(object, field->name, text);
		break;
	}
}

void object_add_fields(json_t *object, const struct field *fields, size_t nr, const void *from)
{
	for (size_t i = 0; i < nr; i++)
		add_field(object, &fields[i], (const char *)from + fields[i].offset);
}

void object_add_sums(json_t *object, const struct field *fields, size_t nr, const void *first,
		     size_t stride, unsigned count)
{
	for (size_t f = 0; f < nr; f++) {
		const char *at = (const char *)first + fields[f].offset;
		uint64_t sum = 0;

		for (unsigned i = 0; i < count; i++, at += stride)
			sum += load_number(at, fields[f].size);
		object_add_number(object, fields[f].name, sum);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * Fills JSON objects from structures: a table lists the names of members and where they are in the
 * structure. When out of memory, members are left out.
 */
#ifndef VMM_JSON_OBJECT_H
#define VMM_JSON_OBJECT_H

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

enum field_kind {
	FIELD_NUMBER, /* unsigned, of any size */
	FIELD_HEX,    /* unsigned, as a string */
	FIELD_BOOL,
	FIELD_REAL, /* double */
	FIELD_TEXT, /* const char *; NULL is left out */
};

struct field {
	const char *name;
	size_t offset, size; /* of the member in the structure */
	enum field_kind kind;
};

#define FIELD_OF(kind, name, type, member)                                                         \
	{                                                                                          \
		name, offsetof(struct type, member), sizeof(((struct type *)0)->member), kind      \
	}
/* A number; its JSON name is the member's name. */
#define FIELD(type, member)          FIELD_OF(FIELD_NUMBER, #member, type, member)
#define FIELD_AS(name, type, member) FIELD_OF(FIELD_NUMBER, name, type, member)
#define NR_OF(array)                 (sizeof(array) / sizeof((array)[0]))
/* For all members of a table. */
#define ADD_FIELDS(object, table, from) object_add_fields(object, table, NR_OF(table), from)
#define ADD_SUMS(object, table, first, stride, count)                                              \
	object_add_sums(object, table, NR_OF(table), first, stride, count)

/* Adds the values in the structure at `from`; each member is read once, relaxed. */
void object_add_fields(json_t *object, const struct field *fields, size_t nr, const void *from);
/* Adds numbers, each the sum over `count` structures that are `stride` bytes apart. */
void object_add_sums(json_t *object, const struct field *fields, size_t nr, const void *first,
		     size_t stride, unsigned count);

void object_add_number(json_t *object, const char *name, uint64_t value);
/* Adds a text. A user's text need not be UTF-8; it then becomes "(not UTF-8)". */
void object_add_text(json_t *object, const char *name, const char *text);
/* Adds a number as "0x1f": JSON's integers are signed, and many readers use doubles. */
void object_add_hex(json_t *object, const char *name, uint64_t value);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a person has to know of a look beside what it found: what was not looked at, and what is in
 * doubt. In plain sentences, which the report prints as they are.
 */
#ifndef AUDIT_NOTES_H
#define AUDIT_NOTES_H

#include <stddef.h>

#define NOTES_MAX 64u

struct notes {
	size_t nr;
	size_t dropped; /* beyond NOTES_MAX, or for want of memory */
	char *text[NOTES_MAX];
};

/* Adds a sentence, without a full stop. One that is there already is not added again. */
__attribute__((format(printf, 2, 3))) void note(struct notes *notes, const char *fmt, ...);
/* Adds those of another list. */
void notes_add(struct notes *notes, const struct notes *more);
/* Forgets all. */
void notes_clear(struct notes *notes);

#endif

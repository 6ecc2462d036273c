/* SPDX-License-Identifier: MIT */
#include "notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plain_text.h"

void note(struct notes *notes, const char *fmt, ...)
{
	char *text;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0) {
		notes->dropped++;
		return;
	}
	plain_text(text, (size_t)len);
	for (size_t i = 0; i < notes->nr; i++) {
		if (!strcmp(notes->text[i], text)) {
			free(text);
			return;
		}
	}
	if (notes->nr == NOTES_MAX) {
		notes->dropped++;
		free(text);
		return;
	}
	notes->text[notes->nr++] = text;
}

void notes_add(struct notes *notes, const struct notes *more)
{
	for (size_t i = 0; i < more->nr; i++)
		note(notes, "%s", more->text[i]);
	notes->dropped += more->dropped;
}

void notes_clear(struct notes *notes)
{
	for (size_t i = 0; i < notes->nr; i++)
		free(notes->text[i]);
	notes->nr = 0;
	notes->dropped = 0;
}

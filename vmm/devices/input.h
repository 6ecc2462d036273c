/* SPDX-License-Identifier: MIT */
/* Standard input to the guest's console; by the main thread alone. */
#ifndef VMM_DEVICES_INPUT_H
#define VMM_DEVICES_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_CHUNK 64u

struct uart;

struct input {
	struct uart *uart;
	bool terminal; /* Ctrl-A has its meaning */
	bool ended;    /* end of file, an error, or a terminal in the background */
	bool escaped;  /* Ctrl-A was the last */
	size_t nr;     /* bytes read that the guest has no room for yet */
	uint8_t bytes[INPUT_CHUNK];
};

enum input_result { INPUT_GOES_ON, INPUT_QUIT };

void input_init(struct input *input, struct uart *uart);
/* The process was continued: it may be in the foreground now, or no more. */
void input_continued(struct input *input);
/* Is standard input to be read when there is something? */
bool input_wanted(const struct input *input);
/* Reads once and passes on; INPUT_QUIT when Ctrl-A x was typed. */
enum input_result input_read(struct input *input);
/* The guest has room again: passes on what waits. */
void input_room(struct input *input);
/* Takes the escapes out of `nr` bytes, in place; returns how many are left, or INPUT_CHUNK + 1 for
 * Ctrl-A x. */
size_t input_filter(struct input *input, uint8_t *bytes, size_t nr);

#endif

/* SPDX-License-Identifier: MIT */
/* The input of the guest's console, from standard input. On the main thread alone. */
#ifndef VMM_DEVICES_INPUT_H
#define VMM_DEVICES_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_CHUNK 4096u
/* A terminal is read this far ahead of the guest, so that Ctrl-A x works even if the guest reads
 * nothing. */
#define INPUT_AHEAD 65536u

/* The console of the guest that gets the input. */
struct input_sink {
	/* Takes as many bytes as there is room for and returns how many. If it took fewer than
	 * offered, the eventfd `room_fd` becomes readable when there is room again. It never waits.
	 */
	size_t (*receive)(void *dev, const uint8_t *bytes, size_t nr);
	void *dev;
	int room_fd;
};

struct input {
	struct input_sink sink;
	bool terminal;   /* standard input is a terminal: Ctrl-A is an escape */
	bool ended;      /* end of file, an error, or a terminal in the background */
	bool escaped;    /* the last character was Ctrl-A */
	size_t from, nr; /* bytes read for which the guest has no room yet */
	uint8_t bytes[INPUT_AHEAD];
};

enum input_result { INPUT_GOES_ON, INPUT_QUIT };

void input_init(struct input *input, const struct input_sink *sink);
/* After SIGCONT: the process may be in the foreground now, or no longer. */
void input_continued(struct input *input);
/* Should standard input be polled? */
bool input_wanted(const struct input *input);
/* Reads once and passes the bytes on. Returns INPUT_QUIT if Ctrl-A x was typed. */
enum input_result input_read(struct input *input);
/* Passes on the bytes that wait, when the guest has room again. */
void input_room(struct input *input);
/* Removes the escapes from `nr` bytes, in place: Ctrl-A twice becomes one Ctrl-A, Ctrl-A with any
 * other character is dropped. Returns how many bytes are left, or INPUT_CHUNK + 1 for Ctrl-A x. */
size_t input_filter(struct input *input, uint8_t *bytes, size_t nr);

#endif

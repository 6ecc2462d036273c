/* SPDX-License-Identifier: MIT */
#include "devices/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "say.h"
#include "devices/terminal.h"

#define CTRL_A 1

void input_init(struct input *input, const struct input_sink *sink)
{
	*input = (struct input){.sink = *sink};
	input_continued(input);
}

void input_continued(struct input *input)
{
	bool terminal = terminal_present();

	input->terminal = terminal && terminal_raw();
	/* Reading from a terminal in the background would stop the whole process. */
	if (terminal)
		input->ended = !input->terminal;
}

bool input_wanted(const struct input *input)
{
	return !input->ended &&
	       (input->terminal ? input->nr + INPUT_CHUNK <= INPUT_AHEAD : input->nr == 0);
}

size_t input_filter(struct input *input, uint8_t *bytes, size_t nr)
{
	size_t kept = 0;

	for (size_t i = 0; i < nr; i++) {
		bool escaped = input->escaped;

		input->escaped = !escaped && bytes[i] == CTRL_A;
		if (escaped && bytes[i] == 'x')
			return INPUT_CHUNK + 1;
		/* Ctrl-A with another character is dropped, Ctrl-A twice is one Ctrl-A. */
		if (escaped ? bytes[i] == CTRL_A : !input->escaped)
			bytes[kept++] = bytes[i];
	}
	return kept;
}

void input_room(struct input *input)
{
	size_t taken = input->sink.receive(input->sink.dev, input->bytes + input->from, input->nr);

	input->from += taken;
	input->nr -= taken;
	if (input->nr == 0)
		input->from = 0;
}

/* Returns the place for the next chunk, behind what waits. */
static uint8_t *make_room(struct input *input)
{
	if (input->from + input->nr + INPUT_CHUNK > INPUT_AHEAD) {
		memmove(input->bytes, input->bytes + input->from, input->nr);
		input->from = 0;
	}
	return input->bytes + input->from + input->nr;
}

enum input_result input_read(struct input *input)
{
	uint8_t *chunk = make_room(input);
	ssize_t n = read(STDIN_FILENO, chunk, INPUT_CHUNK);
	size_t kept;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return INPUT_GOES_ON;
	if (n < 0)
		say_errno("no more input is taken: read from standard input");
	if (n <= 0) {
		input->ended = true;
		return INPUT_GOES_ON;
	}
	kept = input->terminal ? input_filter(input, chunk, (size_t)n) : (size_t)n;
	if (kept > INPUT_CHUNK)
		return INPUT_QUIT;
	input->nr += kept;
	input_room(input);
	return INPUT_GOES_ON;
}

/* SPDX-License-Identifier: MIT */
#include "devices/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "say.h"
#include "devices/terminal.h"
#include "devices/uart.h"

#define CTRL_A 1

void input_init(struct input *input, struct uart *uart)
{
	*input = (struct input){.uart = uart};
	input_continued(input);
}

void input_continued(struct input *input)
{
	bool terminal = terminal_present();

	input->terminal = terminal && terminal_raw();
	/* Reading a terminal from the background would stop the whole process. */
	if (terminal)
		input->ended = !input->terminal;
}

bool input_wanted(const struct input *input)
{
	return !input->ended && input->nr == 0;
}

size_t input_filter(struct input *input, uint8_t *bytes, size_t nr)
{
	size_t kept = 0;

	for (size_t i = 0; i < nr; i++) {
		bool escaped = input->escaped;

		input->escaped = !escaped && bytes[i] == CTRL_A;
		if (escaped && bytes[i] == 'x')
			return INPUT_CHUNK + 1;
		/* Ctrl-A and anything else is nothing, Ctrl-A twice is one. */
		if (escaped ? bytes[i] == CTRL_A : !input->escaped)
			bytes[kept++] = bytes[i];
	}
	return kept;
}

void input_room(struct input *input)
{
	size_t taken = uart_receive(input->uart, input->bytes, input->nr);

	input->nr -= taken;
	memmove(input->bytes, input->bytes + taken, input->nr);
}

enum input_result input_read(struct input *input)
{
	ssize_t n = read(STDIN_FILENO, input->bytes, sizeof(input->bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return INPUT_GOES_ON;
	if (n < 0)
		say_errno("standard input, nothing more is read from it");
	if (n <= 0) {
		input->ended = true;
		return INPUT_GOES_ON;
	}
	input->nr = n;
	if (input->terminal) {
		input->nr = input_filter(input, input->bytes, n);
		if (input->nr > INPUT_CHUNK) {
			input->nr = 0;
			return INPUT_QUIT;
		}
	}
	input_room(input);
	return INPUT_GOES_ON;
}

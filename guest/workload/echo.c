/* SPDX-License-Identifier: MIT */
/* Says every line of input again, until one is "quit". */
#include <stddef.h>
#include <string.h>

#include "console.h"
#include "panic.h"
#include "workload.h"

#define LINE_MAX 256u

/* One line without its end, which is CR or LF; what doesn't fit is dropped. */
static void read_line(char *line)
{
	size_t len = 0;

	for (uint8_t c = console_getc(); c != '\r' && c != '\n'; c = console_getc())
		if (len < LINE_MAX - 1)
			line[len++] = (char)c;
	line[len] = '\0';
}

static int run_echo(void)
{
	char line[LINE_MAX];

	kprintf("echo: say something, or \"quit\"\n");
	for (;;) {
		read_line(line);
		if (!strcmp(line, "quit"))
			return EXIT_OK;
		kprintf("%s\n", line);
	}
}

WORKLOAD(echo, "repeat what is typed, until \"quit\"", run_echo);

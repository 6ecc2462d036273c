/* SPDX-License-Identifier: MIT */
/* Says every line of input again, until one is "quit". */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "console.h"
#include "panic.h"
#include "workload.h"

#define PIECE_SIZE 256u

/* Up to the end of a line (CR or LF), which is not part of it, or as much as fits: then *more. */
static void read_piece(char *piece, bool *more)
{
	size_t len = 0;

	*more = true;
	while (*more && len < PIECE_SIZE - 1) {
		uint8_t c = console_getc();

		*more = c != '\r' && c != '\n';
		if (*more)
			piece[len++] = (char)c;
	}
	piece[len] = '\0';
}

static int run_echo(void)
{
	bool within = false, more;
	char piece[PIECE_SIZE];

	kprintf("echo: say something, or \"quit\"\n");
	for (;;) {
		read_piece(piece, &more);
		if (!within && !more && !strcmp(piece, "quit"))
			return EXIT_OK;
		kprintf("%s%s", piece, more ? "" : "\n");
		within = more;
	}
}

WORKLOAD(echo, "repeat what is typed, until \"quit\"", run_echo);

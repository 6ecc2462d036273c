/* SPDX-License-Identifier: MIT */
#include "say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_LENGTH 512

static void say_line(const char *fmt, va_list args, const char *suffix)
{
	char line[LINE_MAX_LENGTH] = "vmm: ";
	size_t room = sizeof(line) - 1; /* for the newline */
	size_t len = strlen(line);
	int n = vsnprintf(line + len, room - len, fmt, args);

	if (n > 0)
		len = (size_t)n < room - len ? len + (size_t)n : room - 1;
	if (suffix) {
		n = snprintf(line + len, room - len, ": %s", suffix);
		if (n > 0)
			len = (size_t)n < room - len ? len + (size_t)n : room - 1;
	}
	line[len++] = '\n';
	/* Where standard error fails there is nobody left to tell. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void say(const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	say_line(fmt, args, NULL);
	va_end(args);
	errno = saved;
}

int say_errno(const char *fmt, ...)
{
	int saved = errno;
	char reason[128];
	va_list args;

	va_start(args, fmt);
	say_line(fmt, args, strerror_r(saved, reason, sizeof(reason)));
	va_end(args);
	errno = saved;
	return -saved;
}

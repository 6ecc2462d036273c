/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fuzz_stderr = STDERR_FILENO;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_stderr = dup(STDERR_FILENO);
	return 0;
}

static void say(const char *fmt, va_list args)
{
	vdprintf(fuzz_stderr, fmt, args);
	dprintf(fuzz_stderr, "\n");
}

void fuzz_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	abort();
}

/* What the fakes and drivers of the unit tests need of Check: a failure is a finding. */
void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
	va_list args;

	dprintf(fuzz_stderr, "%s:%d: %s: ", file, line, expr);
	if (msg) {
		va_start(args, msg);
		say(msg, args);
		va_end(args);
	}
	abort();
}

void _mark_point(const char *file, int line)
{
	(void)file, (void)line;
}

uint64_t take(struct bytes *bytes, unsigned nr)
{
	uint64_t value = 0;

	if (nr > bytes->left)
		nr = (unsigned)bytes->left;
	memcpy(&value, bytes->at, nr);
	bytes->at += nr;
	bytes->left -= nr;
	return value;
}

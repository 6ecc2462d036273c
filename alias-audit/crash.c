/* SPDX-License-Identifier: MIT */
#include "crash.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "status.h"

static volatile sig_atomic_t in_library;
static const char *volatile last_words;

static void end_here(int signal_nr)
{
	if (!in_library) {
		/* Happens once more on return, and then ends the process as ever. */
		signal(signal_nr, SIG_DFL);
		return;
	}
	if (write(STDERR_FILENO, last_words, strlen(last_words)) < 0)
		_exit(VMM_EX_DATAERR);
	_exit(VMM_EX_DATAERR);
}

void crash_handle(const char *sentence)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

	last_words = sentence;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], end_here);
}

void crash_begin(void)
{
	in_library = 1;
}

void crash_end(void)
{
	in_library = 0;
}

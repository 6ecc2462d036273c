/* SPDX-License-Identifier: MIT */
/* Runs a program under ptrace and looks at, or spoils, the system calls that it makes from main()
 * on. Only those asked for stop it: a seccomp filter picks them. */
#ifndef TESTS_FAULTS_TRACE_H
#define TESTS_FAULTS_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "call.h"

struct trace {
	const struct call *only; /* NULL: all calls stop */
	/* At each call that stops; returns an errno for the call to fail with, or 0 to let it be.
	 */
	int (*at_call)(void *ctx, pid_t thread, const struct call *call);
	void *ctx;
	unsigned limit_s; /* the program is killed then */

	/* What became of it. */
	int status;     /* exit status, or 128 + signal */
	bool timed_out; /* killed at the limit */
	bool signalled; /* ended by a signal, not by exiting */
	/* Return addresses, or what looks like them, of the last SIGSEGV, SIGBUS or SIGABRT; the
	 * first is where it happened. */
	uint64_t crash[8];
};

/* Called in the child before it becomes the program. */
typedef void trace_prepare(void *ctx);

/* Starts the program stopped. */
pid_t trace_start(const struct trace *trace, trace_prepare *prepare, void *ctx,
		  const char *const argv[]);
/* Lets it go until it ends. */
void trace_run(struct trace *trace, pid_t pid, const char *program);

#endif

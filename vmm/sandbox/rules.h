/* SPDX-License-Identifier: MIT */
/* The system calls that a thread may make, as a program for seccomp(2). */
#ifndef VMM_SANDBOX_RULES_H
#define VMM_SANDBOX_RULES_H

#include <linux/filter.h>
#include "sandbox/sandbox.h"

/* Compiles the filter for a thread of this kind, in process `pid`. Returns 0 and the program, whose
 * `filter` the caller frees, or a negated errno. */
int sandbox_compile(enum sandbox_thread thread, const struct sandbox_needs *needs, int pid,
		    struct sock_fprog *program);

#endif

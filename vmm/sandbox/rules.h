/* SPDX-License-Identifier: MIT */
/* Which system calls a thread may make, as a program for seccomp(2). */
#ifndef VMM_SANDBOX_RULES_H
#define VMM_SANDBOX_RULES_H

#include <linux/filter.h>
#include "sandbox/sandbox.h"

/* The filter of a thread of process `pid`. Returns 0, and a program that is to be freed
 * (program->filter), or a negated errno. */
int sandbox_compile(enum sandbox_thread thread, const struct sandbox_needs *needs, int pid,
		    struct sock_fprog *program);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a system call that a filter has stopped: a sentence that names it, the terminal
 * as it was, and VMM_EX_SANDBOX. What the signal handler must know lies in this file's own
 * variables.
 */
#ifndef VMM_SANDBOX_TRAP_H
#define VMM_SANDBOX_TRAP_H

#include "sandbox/sandbox.h"

/* Installs the handler; once, before there are threads. Without it, or when there is no memory for
 * the names of system calls, they are told by number. */
void sandbox_trap_install(void);
/* The calling thread is one of these; the signal reaches it from here on. */
void sandbox_trap_here(enum sandbox_thread thread);

#endif

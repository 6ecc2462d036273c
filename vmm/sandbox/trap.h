/* SPDX-License-Identifier: MIT */
/*
 * The handler of a system call that a filter has stopped: prints a message that names it, restores
 * the terminal, and ends the process with VMM_EX_SANDBOX. What a signal handler needs is in this
 * file's own variables.
 */
#ifndef VMM_SANDBOX_TRAP_H
#define VMM_SANDBOX_TRAP_H

#include "sandbox/sandbox.h"

/* Installs the handler. Once, before other threads exist. If there is no memory for the names of
 * system calls, the message has their numbers. The handler calls `before_end` before it ends the
 * process. */
void sandbox_trap_install(void (*before_end)(void));
/* Declares the kind of the calling thread, for the message, and unblocks this signal and other
 * crashes for it. */
void sandbox_trap_here(enum sandbox_thread thread);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Standard input as a terminal in raw mode, and back on every way out: terminal_restore(), exit(),
 * and a crash (SIGSEGV, SIGABRT and the like; SIGQUIT). What a signal handler must know lies in
 * this file's own variables: there is one controlling terminal in a process.
 */
#ifndef VMM_TERMINAL_H
#define VMM_TERMINAL_H

#include <stdbool.h>

/* Goes raw if standard input is a terminal and this process is in its foreground; returns whether
 * it is so now. May be called again (after SIGCONT). */
bool terminal_raw(void);
/* Back to what it was; nothing if it was never changed. Safe in signal handlers. */
void terminal_restore(void);

#endif

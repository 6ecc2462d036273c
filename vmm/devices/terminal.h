/* SPDX-License-Identifier: MIT */
/*
 * Standard input as a terminal in raw mode, and back on every way out: terminal_restore(), exit(),
 * and a crash (SIGSEGV, SIGABRT and the like; SIGQUIT). What a signal handler must know lies in
 * this file's own variables: there is one controlling terminal in a process.
 */
#ifndef VMM_DEVICES_TERMINAL_H
#define VMM_DEVICES_TERMINAL_H

#include <stdbool.h>

/* Is standard input a terminal? Says so if it is one that has gone. */
bool terminal_present(void);
/* Goes raw if this process is in the foreground of that terminal; returns whether it is so now,
 * after saying why not if it failed. May be called again (after SIGCONT). */
bool terminal_raw(void);
/* Back to what it was; nothing if it was never changed. Safe in signal handlers. */
void terminal_restore(void);

#endif

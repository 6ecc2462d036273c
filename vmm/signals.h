/* SPDX-License-Identifier: MIT */
/* Signals from outside that by default end a process, and report no fault of ours: they are read
 * from a descriptor, so that the program ends in order. The others, which end it at once, are
 * fatal.h's. */
#ifndef VMM_SIGNALS_H
#define VMM_SIGNALS_H

#include <signal.h>

/* All of them but SIGQUIT, SIGPIPE and SIGXFSZ. */
void signals_ending(sigset_t *set);
/* Blocks those of `ending` that are not ignored, and those of `others`, for this thread and all
 * that it starts. Once unblocked, one of `ending` ends the program by fatal.h's handler. SIGPIPE is
 * ignored, since write() reports the same. Call it before other threads exist. Returns a signalfd
 * for them, or -1 with errno. */
int signals_open(const sigset_t *ending, const sigset_t *others);

#endif

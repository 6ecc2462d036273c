/* SPDX-License-Identifier: MIT */
/*
 * Signals that end the program at once: a crash, SIGQUIT, or a second SIGTERM. Their handler
 * restores the terminal, and removes sockets and temporary files. What it needs is in
 * this file's own variables.
 *
 * The main thread alone removes files, since the sandbox lets no other thread do so. Another thread
 * that crashes asks it to, by a signal, and waits for it for some seconds.
 */
#ifndef VMM_FATAL_H
#define VMM_FATAL_H

enum fatal_file { FATAL_CONTROL, FATAL_GDB, FATAL_OUTPUT, FATAL_NR_FILES };

/* Installs the handler for crashes and SIGQUIT, and ignores SIGXFSZ, so that a write beyond `ulimit
 * -f` fails instead. Before other threads exist. `restore`, or NULL, restores the terminal; it is
 * called by signal handlers, on any thread. */
void fatal_install(void (*restore)(void));
/* Installs the handler for one more signal, unless that was ignored when the program started. */
void fatal_handle(int signal);

/* Unblocks crashes for the calling thread: of one that is blocked the kernel makes an end without a
 * handler. */
void fatal_unblock_crashes(void);

/* Registers a file that was created and is to be removed. Call it with all fatal signals blocked,
 * so that none arrives between the creation and this. Returns 0 or a negated errno. */
int fatal_file_made(enum fatal_file which, const char *path);
/* Removes the file, unless another one has taken its place. Does nothing if none is registered. */
void fatal_file_remove(enum fatal_file which);
/* The file is to be kept: forgets it. */
void fatal_file_keep(enum fatal_file which);

/* What the handler does: restores and removes. Safe in signal handlers, on any thread. The process
 * is to end then. */
void fatal_clean_up(void);

#endif

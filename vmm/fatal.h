/* SPDX-License-Identifier: MIT */
/*
 * A signal that ends the program at once: a crash, SIGQUIT, or a second SIGTERM. It then leaves the
 * terminal as it was, and no socket or temporary file. What the handler must know lies in this
 * file's own variables.
 *
 * Files are removed on the main thread alone, which a signal from outside reaches: the sandbox lets
 * no other thread remove one. So a socket outlives a crash of another thread, and the next run
 * takes its place.
 */
#ifndef VMM_FATAL_H
#define VMM_FATAL_H

enum fatal_file { FATAL_SOCKET, FATAL_STATISTICS, FATAL_NR_FILES };

/* Handles the signals of a crash, and SIGQUIT; has a write beyond `ulimit -f` fail, rather than end
 * the program. Before there are threads. */
void fatal_install(void);
/* Handles one more, unless our parent had us ignore it. */
void fatal_handle(int signal);

/* From here on `path` is one that must not be left behind. Call it with all signals blocked that
 * end the program, so that none comes between the file and this. Returns 0 or a negated errno. */
int fatal_file_made(enum fatal_file which, const char *path);
/* Removes it, if it is still the one that was made. Nothing if there is none. */
void fatal_file_remove(enum fatal_file which);
/* It has become another one's: it stays. */
void fatal_file_keep(enum fatal_file which);

/* What the handler does. Safe in signal handlers, on any thread. */
void fatal_clean_up(void);

#endif

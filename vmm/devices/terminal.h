/* SPDX-License-Identifier: MIT */
/*
 * The terminal in raw mode, restored however the program ends: by terminal_restore(), exit(), or a
 * signal that ends the program (fatal.h). What a signal handler needs is in this file's own
 * variables; a process has one controlling terminal.
 */
#ifndef VMM_DEVICES_TERMINAL_H
#define VMM_DEVICES_TERMINAL_H

#include <stdbool.h>

/* Is standard input a terminal? Prints a message if it is a terminal that has hung up. */
bool terminal_present(void);
/* Puts the terminal into raw mode if this process is in its foreground. Returns whether it is in
 * raw mode now; prints a message if that failed. May be called again (after SIGCONT). */
bool terminal_raw(void);
struct terminal_size {
	unsigned short columns, rows;
};

/* The size of standard output, or else of standard input. Returns false if neither is a terminal
 * that has one. */
bool terminal_get_size(struct terminal_size *size);
/* Restores the terminal, if it was changed. Safe in signal handlers. */
void terminal_restore(void);

#endif

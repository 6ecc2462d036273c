/* SPDX-License-Identifier: MIT */
/* A vmm on a terminal of its own. */
#ifndef TESTS_MACHINE_TERMINAL_H
#define TESTS_MACHINE_TERMINAL_H

#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

struct terminal {
	int master;
	pid_t pid;
	struct termios before;
	char seen[65536]; /* what was printed, NUL-terminated */
	size_t len;
};

/* Starts `vmm ARGS...`; the arguments end with NULL. */
void terminal_start(struct terminal *t, const char *const args[]);
#define START(t, ...) terminal_start(t, (const char *const[]){__VA_ARGS__, NULL})

/* Reads until `text` was printed; fails the test if nothing is for a minute. */
void terminal_wait_for(struct terminal *t, const char *text);
/* Types something, and reads until `text` was printed after that. */
void terminal_expect(struct terminal *t, const char *typed, const char *text);
void terminal_resize(const struct terminal *t, unsigned short columns, unsigned short rows);
/* Fails the test unless it is in raw mode. */
void terminal_expect_raw(const struct terminal *t);
/* Waits for the vmm's end, and fails the test unless the terminal is as before. Returns its exit
 * status, or 128 + the signal that ended it. */
int terminal_end(struct terminal *t);

#endif

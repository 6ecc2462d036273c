/* SPDX-License-Identifier: MIT */
/*
 * Messages to the user, on standard error. While a machine runs, no thread waits for standard
 * error: it may hold a lock that the main thread takes. What a reader does not take at once is
 * queued, up to 64 KiB, and written by the main thread; lines beyond that are dropped and counted.
 * A process has one standard error, so the queue is in variables of say.c.
 */
#ifndef VMM_SAY_H
#define VMM_SAY_H

struct pollfd;

/* Names the program that speaks, vmm unless this was called; `name` is kept. Before other threads
 * exist. */
void say_as(const char *name);
/* Prints one line: "vmm: ", the message, a newline; lines of several threads don't mix. Messages of
 * more than 500 characters are cut. Keeps errno. Any thread. */
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
/* The same, with ": " and strerror(errno) at the end. Returns the negated errno. */
__attribute__((format(printf, 1, 2))) int say_errno(const char *fmt, ...);
/* The same for a negated errno, which it returns. */
__attribute__((format(printf, 2, 3))) int say_error(int err, const char *fmt, ...);

/* From now on until say_stop(), no message waits for standard error. Before other threads exist.
 * Returns 0, or a negated errno after a message. */
int say_start(void);
/* For the main thread: what to poll, and what to call when it is ready. */
void say_poll(struct pollfd *fd);
void say_serve(void);
/* Writes the queued messages. Gives up, and drops the rest, when standard error has taken nothing
 * for 5 seconds. After the vCPUs have ended. */
void say_stop(void);

#endif

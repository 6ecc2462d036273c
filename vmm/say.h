/* SPDX-License-Identifier: MIT */
/* Messages to the user, on standard error. */
#ifndef VMM_SAY_H
#define VMM_SAY_H

/* Prints one line: "vmm: ", the message, a newline. It is a single write, so lines of several
 * threads don't mix. Messages of more than 500 characters are cut. Keeps errno. */
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
/* The same, with ": " and strerror(errno) at the end. Returns the negated errno. */
__attribute__((format(printf, 1, 2))) int say_errno(const char *fmt, ...);

#endif

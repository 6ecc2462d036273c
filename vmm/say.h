/* SPDX-License-Identifier: MIT */
/* What the program says of itself, on standard error. */
#ifndef VMM_SAY_H
#define VMM_SAY_H

/* One line, "vmm: " before it and a newline after, in a single write, so that lines of several
 * threads never mix. Longer than 500 characters is cut. Keeps errno. */
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
/* The same with ": " and strerror(errno) behind it. Returns the negated errno. */
__attribute__((format(printf, 1, 2))) int say_errno(const char *fmt, ...);

#endif

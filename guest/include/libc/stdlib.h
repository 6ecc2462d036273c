/* SPDX-License-Identifier: MIT */
/* The part of <stdlib.h> that libfdt uses. */
#ifndef GUEST_STDLIB_H
#define GUEST_STDLIB_H

#include <stddef.h>

/* Base 10 or 16 only, no sign, no leading space; stops at the first character that doesn't fit. */
unsigned long strtoul(const char *restrict s, char **restrict end, int base);

#endif

/* SPDX-License-Identifier: MIT */
/* The findings of a look, for a person and for a program. */
#ifndef AUDIT_REPORT_H
#define AUDIT_REPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <jansson.h>
#include "findings.h"
#include "names.h"

/* Prints the answer, what it is made of, what was found, and what is in doubt. Findings that are
 * alike are one line with a count and the first example; with `all` each has a line. `names` may be
 * NULL. Errors stay in the stream. */
void report_print(FILE *out, const struct findings *findings, const struct names *names, bool all);
/* Prints a line for each finding that came since the last look, or went; each begins with `before`.
 * `names` may be NULL, and are those of `findings`: what went has none if the kernel has moved. */
void report_changes(FILE *out, const struct findings *last, const struct findings *findings,
		    const struct names *names, const char *before);
/* The same as report_print() for a program, as alias-audit/SCHEMA.md says; all findings. Returns
 * NULL when out of memory. */
json_t *report_json(const struct findings *findings, const struct names *names);

#endif

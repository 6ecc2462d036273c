/* SPDX-License-Identifier: MIT */
/* The output of --stats and --trace: a file, or "-" for standard output. */
#ifndef VMM_OUTPUT_FILE_H
#define VMM_OUTPUT_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct output_stream {
	int fd, wait_ms;
	bool is_file; /* a plain one */
};

struct output {
	const char *what; /* it is, for messages: "statistics" */
	const char *path;
	const char *text; /* NULL: print() has it */
	/* Writes all by output_put(), whose result it returns. */
	int (*print)(const void *ctx, struct output_stream *to);
	const void *ctx;
};

/* Checks before the run that `path` can be written, so that a hopeless path is not found out hours
 * later. Leaves no file behind. Returns 0, or a negated errno after a message that begins with
 * the option. */
int output_file_check(const char *option, const char *path);
/* Would writing to `path` replace `other`, or what is made there? Neither need be there yet. */
bool output_file_replaces(const char *path, const char *other);
/* Writes it. What is replaceable (replaceable.h) is replaced as a whole, or stays as it was;
 * anything else is written to directly, waiting up to `wait_ms` for a reader to open it, and each
 * time as long, 5 seconds at least, for one that has to take some (-1: for ever). Main thread.
 * Returns 0, or a negated errno after a message. */
int output_file_write(const struct output *output, int wait_ms);
/* Returns 0, or a negated errno. */
int output_put(struct output_stream *to, const char *text, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/* Where --stats has the figures written: a file, or "-" for standard output. */
#ifndef VMM_STATS_FILE_H
#define VMM_STATS_FILE_H

#include <jansson.h>

/* Tries, before a run, whether `path` could be written: what has no chance is not found out after
 * the guest's hours. Nothing is left of the trial. Returns 0, or VMM_EX_IOERR after saying why. */
int stats_file_check(const char *path);
/* Writes it, whole or not at all (a new file takes the place of an old one). What is no plain file
 * is written to as it is; where nobody reads, it waits for `wait_ms` (-1: without end). Main
 * thread. Returns 0, or VMM_EX_IOERR after saying why. */
int stats_file_write(const json_t *stats, const char *path, int wait_ms);

#endif

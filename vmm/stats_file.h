/* SPDX-License-Identifier: MIT */
/* The output of --stats: a file, or "-" for standard output. */
#ifndef VMM_STATS_FILE_H
#define VMM_STATS_FILE_H

#include <jansson.h>

/* Checks before the run that `path` can be written, so that a hopeless path is not found out hours
 * later. Leaves no file behind. Returns 0, or VMM_EX_IOERR after a message. */
int stats_file_check(const char *path);
/* Writes the statistics. A plain file is replaced as a whole, or stays as it was; anything else is
 * written to directly, waiting up to `wait_ms` for a reader (-1: for ever). Main thread. Returns 0,
 * or VMM_EX_IOERR after a message. */
int stats_file_write(const json_t *stats, const char *path, int wait_ms);

#endif

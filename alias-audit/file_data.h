/* SPDX-License-Identifier: MIT */
/* Where a sparse file holds data. */
#ifndef AUDIT_FILE_DATA_H
#define AUDIT_FILE_DATA_H

#include <stdint.h>

/* Returns the first offset from `at` on, and before `end`, at which the file holds data, or `end`:
 * there are only holes, which are zeros. What is behind the end of the file is no hole, but for the
 * caller to read in vain. Offsets are at most INT64_MAX. */
uint64_t file_next_data(int fd, uint64_t at, uint64_t end);

#endif

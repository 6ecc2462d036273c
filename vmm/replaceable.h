/* SPDX-License-Identifier: MIT */
#ifndef VMM_REPLACEABLE_H
#define VMM_REPLACEABLE_H

#include <stdbool.h>

/* Is an output to be written beside `path`, and renamed to it? So it is for a plain file, or where
 * there is none yet. A device, a pipe or a link (/dev/stdout) would be replaced by a file, and
 * where a file is mounted, as a container's runtime does it, the rename would fail: those are
 * written to directly. */
bool is_replaceable(const char *path);

#endif

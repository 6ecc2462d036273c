/* SPDX-License-Identifier: MIT */
#ifndef VMM_FOLLOW_LINKS_H
#define VMM_FOLLOW_LINKS_H

#include <limits.h>
#include <stdbool.h>

/* Finds the name to which links lead, where nothing need be: what is made by `path` has that name.
 * Returns false if it is too long. */
bool follow_links(const char *path, char target[PATH_MAX]);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef VMM_INSTALLED_H
#define VMM_INSTALLED_H

#include <limits.h>
#include <stdbool.h>

/* Where the program's files are. In a build folder all are beside it; `make install` puts what
 * nobody starts by hand into ../lib/vmm, from the folder of the program. */

/* The path of `name` in ../lib/vmm. Returns false if the program's folder is unknown. */
bool installed_path(const char *name, char path[PATH_MAX]);
/* The path of the program `name`: beside this one, or where there is none, in ../lib/vmm. Returns
 * false if the program's folder is unknown. */
bool installed_program(const char *name, char path[PATH_MAX]);

#endif

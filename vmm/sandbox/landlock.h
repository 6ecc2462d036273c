/* SPDX-License-Identifier: MIT */
/* The kernel's Landlock: what a thread may do in the file system by names. What is open already is
 * not its business. All but landlock_abi() return -1 and set errno when they fail. */
#ifndef VMM_SANDBOX_LANDLOCK_H
#define VMM_SANDBOX_LANDLOCK_H

/* The version of its interface, 0 if it is not built in or not switched on. */
int landlock_abi(void);
/* A ruleset that allows nothing; an fd. */
int landlock_create(int abi);
/* Allows to write to `path`, or, where it is a plain file or none, to put a new file in its place.
 * Of a path that can't be there at all nothing is allowed. */
int landlock_allow_write(int ruleset, int abi, const char *path);
/* Allows to remove `path` (and its neighbours). */
int landlock_allow_remove(int ruleset, const char *path);
/* From here on this thread, and all that it starts, is ruled by it. */
int landlock_enter(int ruleset);

#endif

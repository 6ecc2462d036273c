/* SPDX-License-Identifier: MIT */
/* Landlock rules: which files a thread may open or change by name. Descriptors that are open
 * already are not affected. All functions but landlock_abi() return a negated errno on failure. */
#ifndef VMM_SANDBOX_LANDLOCK_H
#define VMM_SANDBOX_LANDLOCK_H

/* Returns the version of the kernel's Landlock, or 0 if it is not built in or not enabled. */
int landlock_abi(void);
/* Returns the descriptor of a ruleset that allows nothing. */
int landlock_create(int abi);
/* Allows to write to `path`; if that is replaceable, also to replace it by a new file. If `path`
 * can't exist (its folder is missing), allows nothing. */
int landlock_allow_write(int ruleset, int abi, const char *path);
/* Allows to remove `path`, and other files of its folder. */
int landlock_allow_remove(int ruleset, const char *path);
/* Would landlock_enter() be let through by a filter that this process is under? The privileges are
 * forgone. */
int landlock_try_to_enter(void);
/* Applies the ruleset to this thread and all that it starts, for ever. */
int landlock_enter(int ruleset);

#endif

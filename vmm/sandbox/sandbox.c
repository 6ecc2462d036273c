/* SPDX-License-Identifier: MIT */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "sandbox/landlock.h"
#include "sandbox/rules.h"
#include "sandbox/trap.h"
#include "say.h"

struct sandbox {
	struct sock_fprog filters[SANDBOX_NR_THREADS];
	/* Landlock rulesets, or -1: for the main thread, and for all others. */
	int files_of_main, no_files;
};

bool sandbox_is_possible(const char **why_not)
{
	uint32_t action = SECCOMP_RET_TRAP;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		return true;
	/* The filter of a container may also answer ENOSYS, as if the call did not exist. */
	if (errno == EPERM || errno == EACCES)
		*why_not = "seccomp(2) is forbidden here, as by the filter of a container";
	else if (errno == ENOSYS)
		*why_not = "there is no seccomp(2): this kernel lacks it (CONFIG_SECCOMP), or "
			   "the filter of a container hides it";
	else
		*why_not = "this kernel has no filters of system calls (CONFIG_SECCOMP_FILTER)";
	return false;
}

static int compile_filters(struct sandbox *sandbox, const struct sandbox_needs *needs)
{
	for (enum sandbox_thread i = 0; i < SANDBOX_NR_THREADS; i++) {
		int err = sandbox_compile(i, needs, getpid(), &sandbox->filters[i]);

		if (err)
			return say_error(err, "compiling the filters of system calls");
	}
	return 0;
}

/* The kernel itself has other errors for these calls. */
static int say_landlock(int err, const char *call)
{
	if (err != -EPERM && err != -EACCES && err != -ENOSYS)
		return say_error(err, "%s", call);
	say("%s(2) is forbidden here, as by the filter of a container; --no-sandbox runs without a "
	    "sandbox",
	    call);
	return err;
}

/* Without Landlock in the kernel, only the filters apply. */
static int prepare_landlock(struct sandbox *sandbox, const struct sandbox_needs *needs)
{
	int abi = landlock_abi();
	int err = 0;

	if (!abi)
		return 0;
	sandbox->no_files = landlock_create(abi);
	if (sandbox->no_files < 0)
		return say_landlock(sandbox->no_files, "landlock_create_ruleset");
	sandbox->files_of_main = landlock_create(abi);
	if (sandbox->files_of_main < 0)
		return say_landlock(sandbox->files_of_main, "landlock_create_ruleset");
	if (needs->stats)
		err = landlock_allow_write(sandbox->files_of_main, abi, needs->stats);
	if (!err && needs->trace)
		err = landlock_allow_write(sandbox->files_of_main, abi, needs->trace);
	if (!err && needs->control)
		err = landlock_allow_remove(sandbox->files_of_main, needs->control);
	if (!err && needs->gdb_socket)
		err = landlock_allow_remove(sandbox->files_of_main, needs->gdb_socket);
	return err ? say_landlock(err, "landlock_add_rule") : 0;
}

static int forgo_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return say_errno("PR_SET_NO_NEW_PRIVS");
	return 0;
}

/* A thread that finds it out when it is started can't tell it so well. */
static int try_landlock(const struct sandbox *sandbox)
{
	int err = sandbox->no_files >= 0 ? landlock_try_to_enter() : 0;

	return err ? say_landlock(err, "landlock_restrict_self") : 0;
}

struct sandbox *sandbox_create(const struct sandbox_needs *needs)
{
	struct sandbox *sandbox;
	const char *why;

	if (!sandbox_is_possible(&why)) {
		say("%s; --no-sandbox runs without a sandbox", why);
		return NULL;
	}
	sandbox = calloc(1, sizeof(*sandbox));
	if (!sandbox) {
		say_errno("memory for the sandbox");
		return NULL;
	}
	sandbox->files_of_main = sandbox->no_files = -1;
	if (compile_filters(sandbox, needs) || prepare_landlock(sandbox, needs) ||
	    forgo_privileges() || try_landlock(sandbox)) {
		sandbox_destroy(sandbox);
		return NULL;
	}
	return sandbox;
}

void sandbox_destroy(struct sandbox *sandbox)
{
	if (!sandbox)
		return;
	for (unsigned i = 0; i < SANDBOX_NR_THREADS; i++)
		free(sandbox->filters[i].filter);
	if (sandbox->files_of_main >= 0)
		close(sandbox->files_of_main);
	if (sandbox->no_files >= 0)
		close(sandbox->no_files);
	free(sandbox);
}

int sandbox_enter(const struct sandbox *sandbox, enum sandbox_thread thread)
{
	int ruleset, err;

	sandbox_trap_here(thread);
	if (!sandbox)
		return 0;
	ruleset = thread == SANDBOX_MAIN ? sandbox->files_of_main : sandbox->no_files;
	err = ruleset >= 0 ? landlock_enter(ruleset) : 0;
	if (err)
		return err;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &sandbox->filters[thread]) < 0)
		return -errno;
	return 0;
}

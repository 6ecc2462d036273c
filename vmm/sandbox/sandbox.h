/* SPDX-License-Identifier: MIT */
/*
 * Confinement. Once a machine is set up, each of its threads may make the system calls that its
 * work needs and no others (seccomp, sandbox_rules.c has the list), opens nothing in the file
 * system but what is named below (Landlock, where the kernel has it), and gains no privileges by
 * any program. A call that is not on the list ends the whole process with VMM_EX_SANDBOX, and its
 * name on standard error.
 *
 * Threads share their memory, so a thread that the guest has taken over may in time take over the
 * others: what all of them may do together is what can be relied on.
 */
#ifndef VMM_SANDBOX_SANDBOX_H
#define VMM_SANDBOX_SANDBOX_H

#include <stdbool.h>

enum sandbox_thread {
	SANDBOX_MAIN, /* events, the console's input, the control socket, statistics */
	SANDBOX_VCPU, /* each of them: the guest, its pins, the registers of its devices */
	SANDBOX_DISK, /* each of them: io_uring */
	SANDBOX_UFFD, /* userfaultfd */
	SANDBOX_NR_THREADS,
};

/* What the run does besides, and nothing that it does not. */
struct sandbox_needs {
	bool strict;         /* guarded page tables */
	const char *stats;   /* a file that the main thread writes at the end, or NULL */
	const char *control; /* a socket that it removes at the end, or NULL */
};

struct sandbox;

/* Makes the filters ready, and takes from this thread and all that it starts the way to privileges.
 * NULL after saying why. */
struct sandbox *sandbox_create(const struct sandbox_needs *needs);
void sandbox_destroy(struct sandbox *sandbox);

/* Confines the calling thread for the rest of its life. Returns 0, as it does if `sandbox` is NULL,
 * or a negated errno, saying nothing. */
int sandbox_enter(const struct sandbox *sandbox, enum sandbox_thread thread);

/* Whether this kernel can filter system calls; *why_not (static string) if it can't. */
bool sandbox_is_possible(const char **why_not);

#endif

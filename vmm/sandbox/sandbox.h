/* SPDX-License-Identifier: MIT */
/*
 * The sandbox. Once the machine is set up, each thread may make only the system calls that its work
 * needs (seccomp; rules.c has the lists), may open only the files named below (Landlock, if the
 * kernel has it), and cannot gain privileges. Any other system call ends the whole process with
 * VMM_EX_SANDBOX and a message that names the call.
 *
 * Threads share their memory, so a guest that has taken over one thread may take over the others.
 * What all threads together may do is the limit that can be relied on.
 */
#ifndef VMM_SANDBOX_SANDBOX_H
#define VMM_SANDBOX_SANDBOX_H

#include <stdbool.h>

enum sandbox_thread {
	SANDBOX_MAIN, /* event loop, console input, control socket, statistics */
	SANDBOX_VCPU, /* a vCPU: the guest, its hypercalls, device registers */
	SANDBOX_DISK, /* a disk: io_uring */
	SANDBOX_UFFD, /* write tracking: userfaultfd */
	SANDBOX_NR_THREADS,
};

/* What this run needs beyond the minimum. Only that is allowed. */
struct sandbox_needs {
	bool strict;            /* write-protected page tables */
	const char *stats;      /* file that the main thread writes at the end, or NULL */
	const char *trace;      /* another, or NULL */
	bool traced;            /* vCPUs record what they do */
	const char *control;    /* socket that the main thread removes at the end, or NULL */
	bool audit;             /* the main thread looks at page tables */
	bool gdb;               /* the main thread serves a debugger */
	const char *gdb_socket; /* and removes its socket at the end, or NULL */
};

struct sandbox;

/* Compiles the filters, and sets PR_SET_NO_NEW_PRIVS for this thread and all that it starts.
 * Returns NULL after a message. */
struct sandbox *sandbox_create(const struct sandbox_needs *needs);
void sandbox_destroy(struct sandbox *sandbox);

/* Confines the calling thread for good. Returns 0 (also if `sandbox` is NULL, without doing
 * anything), or a negated errno without a message. */
int sandbox_enter(const struct sandbox *sandbox, enum sandbox_thread thread);

/* Can this kernel filter system calls? If not, *why_not says why (static string). */
bool sandbox_is_possible(const char **why_not);

#endif

/* SPDX-License-Identifier: MIT */
/* Threads that are confined from their start. */
#ifndef VMM_KVM_THREAD_H
#define VMM_KVM_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include "sandbox/sandbox.h"

struct thread_job {
	const struct sandbox *sandbox; /* NULL: not confined */
	enum sandbox_thread kind;
	size_t stack; /* bytes, in addition to what the C library needs */
	void *(*run)(void *arg);
	void *arg;
};

/* Starts a thread, which enters the sandbox before it calls run(), and waits until it has entered.
 * Its signal mask is the caller's, with crashes unblocked (fatal.h). Returns 0, or a negated errno
 * without a message. */
int thread_start(pthread_t *thread, const struct thread_job *job);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef VMM_KVM_THREAD_H
#define VMM_KVM_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include "sandbox/sandbox.h"

struct thread_job {
	const struct sandbox *sandbox; /* NULL: it is not confined */
	enum sandbox_thread kind;
	size_t stack; /* bytes, beside what the C library itself puts there */
	void *(*run)(void *arg);
	void *arg;
};

/* Starts a thread and waits until it is confined, which it is before it runs anything else. It has
 * the signal mask of the caller, but for SIGSYS. Returns 0 or a negated errno, saying nothing. */
int thread_start(pthread_t *thread, const struct thread_job *job);

#endif

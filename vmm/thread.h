/* SPDX-License-Identifier: MIT */
#ifndef VMM_THREAD_H
#define VMM_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts a thread with a stack of `stack` bytes beside what the C library itself puts there. It
 * has the signal mask of the caller. Returns 0 or a negated errno, saying nothing. */
int thread_start(pthread_t *thread, size_t stack, void *(*run)(void *), void *arg);

#endif

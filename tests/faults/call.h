/* SPDX-License-Identifier: MIT */
/* System calls of a traced program: what tells them apart, what they are called, how they fail. */
#ifndef TESTS_FAULTS_CALL_H
#define TESTS_FAULTS_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a program makes a system call: the same in every run, as its addresses are. */
struct call {
	long nr;
	/* Of ioctl, fcntl, futex, madvise, prctl: what is asked for; of read and write: whether it
	 * is of an eventfd or a memfd (CALL_...); else 0. */
	uint32_t request;
	uint64_t rip;    /* after the instruction */
	uint64_t caller; /* where the function returns to that contains it */
};

/* "ioctl KVM_RUN", "mmap"; static storage until the next call. */
const char *call_name(const struct call *call);

#define CALL_ANON   1 /* a file descriptor with nothing behind it that could fail */
#define CALL_MEMORY 2 /* a file in memory: full at worst, never waited for */

/* The request that these arguments of that thread's make, where the call has such. */
uint32_t call_request(pid_t thread, long nr, const uint64_t args[6]);

/* How a test lets a call fail. */
struct failure {
	int error;
	bool harmless; /* the program must go on as if nothing had been: it asks again */
};

/* The failures to be tried, the first being the worst; returns how many. None for calls that fail
 * only when a program passes nonsense, or don't return. */
size_t call_failures(const struct call *call, const struct failure **list);
/* Is it tried again where it fails, so that it is to be tried what becomes of that if it always
 * does? */
bool call_is_repeated(const struct call *call);

#endif

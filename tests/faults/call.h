/* SPDX-License-Identifier: MIT */
/* System calls of a traced program: what tells them apart, what they are called, how they fail. */
#ifndef TESTS_FAULTS_CALL_H
#define TESTS_FAULTS_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a program makes a system call: the same in every run, as its addresses are. */
struct call {
	long nr;
	uint32_t request; /* of ioctl, fcntl, futex, madvise, prctl: what is asked for; else 0 */
	uint64_t rip;     /* after the instruction */
	uint64_t caller;  /* where the function returns to that contains it */
};

/* "ioctl KVM_RUN", "mmap"; static storage until the next call. */
const char *call_name(const struct call *call);

/* The request that these arguments make, where the call has such. */
uint32_t call_request(long nr, const uint64_t args[6]);

/* How a test lets a call fail. */
struct failure {
	int error;
	bool harmless; /* the program must go on as if nothing had been: it asks again */
};

/* The failures to be tried, the first being the worst; returns how many. None for calls that fail
 * only when a program passes nonsense, or don't return. */
size_t call_failures(const struct call *call, const struct failure **list);

#endif

/* SPDX-License-Identifier: MIT */
/* Starts the real vmm, as a person would, and keeps everything that came out of it. */
#ifndef TESTS_MACHINE_RUN_H
#define TESTS_MACHINE_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

struct run {
	int status;    /* exit status, or 128 + the signal that ended it */
	char *out;     /* standard output, NUL-terminated */
	char *err;     /* standard error */
	json_t *stats; /* what --stats wrote, NULL if nothing */
};

/* Paths of the build tree this test program lies in; static storage. */
const char *path_vmm(void);
const char *path_guest(void);
/* "BUILD/tests/NAME"; never freed: a test is a short-lived process. */
const char *path_in_tests(const char *name);
/* A private folder for files of this test process, removed by run_cleanup(). */
const char *path_tmp(void);
/* "TMP/NAME"; never freed. */
const char *tmp_file(const char *name);

/* The mode of tracking (vmm --track) that all tests use if the environment's VMM_TRACK names one:
 * then that, else `usual`. So every suite can be run with every mode of tracking. */
const char *track_or(const char *usual);
/* Is this the mode of tests that ask for none in particular? */
bool track_is(const char *track);
/* Does KVM shadow the guest's page tables here, for want of nested paging? */
bool on_shadow_mmu(void);

/* In a test: it is not for --track strict, and counts as skipped then. */
#define NOT_IF_STRICT(why)                                                                         \
	do {                                                                                       \
		if (track_is("strict")) {                                                          \
			printf("skip %s: %s\n", __func__, why);                                    \
			return;                                                                    \
		}                                                                                  \
	} while (0)

/* Runs `vmm --stats FILE --timeout 100 --track MODE ARGS...`; `input` is its standard input
 * (NULL: /dev/null). The arguments end with NULL. Fails the test if the program cannot be started.
 */
void run_vmm(struct run *run, const char *input, const char *const args[]);
/* Any program, with nothing added. */
void run_program(struct run *run, const char *input, const char *const argv[]);
void run_free(struct run *run);
void run_cleanup(void);

#define RUN(run, ...) run_vmm(run, NULL, (const char *const[]){__VA_ARGS__, NULL})

/* A number in the statistics by its path, "pins.upcalls"; fails the test if it isn't there. */
int64_t stat_of(const struct run *run, const char *path);

/* Fails the test, with all that the program said, unless it ended with this status. */
void expect_status(const struct run *run, int status);
/* Exactly one line on standard error, which begins with "vmm: " and contains `part`. */
void expect_one_sentence(const struct run *run, const char *part);
void expect_contains(const char *text, const char *part);

#endif

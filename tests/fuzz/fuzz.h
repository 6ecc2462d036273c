/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. Each is a file fuzz_NAME.c with LLVMFuzzerTestOneInput(), which
 * libFuzzer calls with inputs that it makes up, and replay.c with those of the corpus. Targets that
 * have state take their input for a program: bytes that say what to do, one thing after the other.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
/* Returns 0; does not come back if the input shows a mistake. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what is wrong and aborts, which is what a fuzzer takes for a finding. */
_Noreturn void fuzz_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_fail("%s:%d: not so: %s", __FILE__, __LINE__, #condition);            \
	} while (0)

/* Where fuzz_fail() speaks: standard error as it was before the target was made quiet. */
extern int fuzz_stderr;

/* The rest of an input. */
struct bytes {
	const uint8_t *at;
	size_t left;
};

/* The next `nr` (up to 8) bytes as a number, the lowest first; those that are not there are 0. */
uint64_t take(struct bytes *bytes, unsigned nr);
static inline uint8_t take1(struct bytes *bytes)
{
	return (uint8_t)take(bytes, 1);
}

#endif
